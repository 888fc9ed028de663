import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { clientDeadline, DeadlineError, serverDeadline, timeLeftMs } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { startEchoServer } from "./fixtures/echo-server.ts";
import { kindsOver, stuckEcho } from "./fixtures/stuck-echo.ts";
import { connectTo, protocols } from "./fixtures/troubled-server.ts";

const code = (reason: unknown) => (reason instanceof ConnectError ? Code[reason.code] : reason);

describe.each(protocols)("%s", (protocol) => {
  describe.each(kindsOver(protocol))("$kind", ({ call }) => {
    it("ends at the client's deadline, of which the server is told, and at which it stops", async () => {
      const clock = new FakeClock();
      const stuck = stuckEcho();
      await using server = await startEchoServer(protocol, stuck.impl);
      const client = connectTo(server.port, protocol, clientDeadline({ defaultMs: 60_000, clock }));
      const failed = call(client).catch((reason: unknown) => reason);
      const context = await stuck.arrived;
      expect(context.timeoutMs()).toBeGreaterThan(0);
      expect(context.timeoutMs()).toBeLessThanOrEqual(60_000);
      await clock.waitForSleep();
      await clock.advance(60_000);
      expect(await failed).toMatchObject({ code: Code.DeadlineExceeded, cause: new DeadlineError(60_000, false) });
      await stuck.aborted;
      expect(clock.pending).toBe(0);
    });

    it("ends at the server's default, though the handler does not look at its signal", async () => {
      const clock = new FakeClock();
      const stuck = stuckEcho();
      const interceptor = serverDeadline({ defaultMs: 5_000, clock });
      await using server = await startEchoServer(protocol, stuck.impl, interceptor);
      const failed = call(connectTo(server.port, protocol, (next) => next)).catch(code);
      const context = await stuck.arrived;
      expect([context.timeoutMs(), timeLeftMs(context)]).toEqual([undefined, 5_000]);
      await clock.waitForSleep();
      await clock.advance(5_000);
      expect(await failed).toBe("DeadlineExceeded");
      expect(code(context.signal.reason)).toBe("DeadlineExceeded");
      expect(clock.pending).toBe(0);
    });

    it("ends at the server's maximum, if the caller asks for more", async () => {
      const clock = new FakeClock();
      const stuck = stuckEcho();
      await using server = await startEchoServer(protocol, stuck.impl, serverDeadline({ maxMs: 5_000, clock }));
      const client = connectTo(server.port, protocol, (next) => next);
      const failed = call(client, { timeoutMs: 60_000 }).catch(code);
      expect(timeLeftMs(await stuck.arrived)).toBe(5_000);
      await clock.waitForSleep();
      await clock.advance(5_000);
      expect(await failed).toBe("DeadlineExceeded");
    });

    it("ends at the caller's own time-out, if that is shorter than what both sides allow", async () => {
      const clock = new FakeClock();
      const stuck = stuckEcho();
      const limits = { defaultMs: 5_000, maxMs: 5_000, clock };
      await using server = await startEchoServer(protocol, stuck.impl, serverDeadline(limits));
      const client = connectTo(server.port, protocol, clientDeadline(limits));
      expect(await call(client, { timeoutMs: 50 }).catch(code)).toBe("DeadlineExceeded");
      await stuck.aborted;
      expect(clock.pending).toBe(0);
    });
  });

  it("a call without time for the server is answered without asking its handler", async () => {
    const contexts: HandlerContext[] = [];
    const impl = {
      get(_: unknown, context: HandlerContext) {
        contexts.push(context);
        return {};
      },
    };
    await using server = await startEchoServer(protocol, impl, serverDeadline({ defaultMs: 5_000 }));
    const name = protocol.startsWith("gRPC") ? "grpc-timeout" : "connect-timeout-ms";
    const client = connectTo(server.port, protocol, (next) => (request) => {
      request.header.set(name, name === "grpc-timeout" ? "0m" : "0");
      return next(request);
    });
    expect(await client.get({}).catch(code)).toBe("DeadlineExceeded");
    expect(contexts).toEqual([]);
  });
});
