import { runInNewContext } from "node:vm";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { createMemoryServer } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createEcho, EchoService } from "./support/echo-service.ts";

const { unary } = EchoService.method;
type UnaryImpl = ServiceImpl<typeof EchoService>["unary"];

function serveUnary(handler: UnaryImpl, clock = new FakeClock()) {
  const routes = { ...createEcho(), unary: handler };
  return { clock, server: createMemoryServer({ routes: (router) => router.service(EchoService, routes), clock }) };
}

const never: UnaryImpl = () => new Promise(() => {});
const codeOf = (reason: unknown) => (reason as ConnectError).code;
/** A promise, but not of this realm's class. */
const foreignPromise: (value: unknown) => object = runInNewContext("(value) => Promise.resolve(value)");
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe("the end of a unary call", () => {
  it.each<{ what: string; act(caller: AbortController, clock: FakeClock): unknown; code: Code }>([
    { what: "its caller aborts", act: (caller) => caller.abort(), code: Code.Canceled },
    { what: "its deadline passes", act: (_, clock) => clock.advance(100), code: Code.DeadlineExceeded },
  ])("when $what, the handler's own end counts no more", async ({ act, code }) => {
    const handler = Promise.withResolvers<{ text: string }>();
    const { server, clock } = serveUnary(() => handler.promise);
    const caller = new AbortController();
    const outcomes: unknown[] = [];
    const call = server.connect().unary(unary, caller.signal, 100, undefined, {});
    const settled = call.then(
      (response) => outcomes.push(response),
      (reason) => outcomes.push(codeOf(reason)),
    );
    await turn();
    await act(caller, clock);
    await settled;
    expect(server.inFlight).toBe(1); // its handler runs on
    handler.resolve({ text: "too late" });
    await turn();
    expect(outcomes).toEqual([code]);
    expect(server.inFlight).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("an abort and a deadline after the answer change nothing", async () => {
    const { server, clock } = serveUnary((request) => request);
    const caller = new AbortController();
    const { message } = await server.connect().unary(unary, caller.signal, 100, undefined, { text: "a" });
    caller.abort();
    await clock.advance(200);
    expect(message.text).toBe("a");
  });

  it.each<{ what: string; handler: UnaryImpl; end(caller: AbortController, clock: FakeClock): unknown; code: Code }>([
    { what: "success", handler: (request) => request, end: () => {}, code: Code.Canceled },
    {
      what: "an error",
      handler: () => {
        throw new ConnectError("no", Code.DataLoss);
      },
      end: () => {},
      code: Code.DataLoss,
    },
    { what: "the deadline", handler: never, end: (_, clock) => clock.advance(100), code: Code.DeadlineExceeded },
    { what: "the caller", handler: never, end: (caller) => caller.abort(), code: Code.Canceled },
  ])("a signal that is first looked at after $what has aborted, once for all", async ({ handler, end, code }) => {
    let context: HandlerContext | undefined;
    const { server, clock } = serveUnary((request, given) => {
      context = given;
      return handler(request, given);
    });
    const caller = new AbortController();
    const call = server.connect().unary(unary, caller.signal, 100, undefined, {});
    call.catch(() => {});
    await turn();
    await end(caller, clock);
    await call.catch(() => {});
    expect(context?.signal.aborted).toBe(true);
    expect(codeOf(context?.signal.reason)).toBe(code);
    expect(context?.signal).toBe(context?.signal);
  });

  it("an error that a handler throws again stays as it is, and arrives the same each time", async () => {
    const refusal = new ConnectError("no", Code.FailedPrecondition, { "x-why": "rain" });
    const { server } = serveUnary((_, { responseTrailer }) => {
      responseTrailer.set("x-late", "tail");
      throw refusal;
    });
    const transport = server.connect();
    for (let time = 0; time < 3; time++) {
      const error = await transport.unary(unary, undefined, undefined, undefined, {}).catch((reason) => reason);
      expect([...error.metadata]).toEqual([
        ["x-late", "tail"],
        ["x-why", "rain"],
      ]);
    }
    expect([...refusal.metadata]).toEqual([["x-why", "rain"]]);
  });

  it("a handler's time-out counts down from the call, whenever it is asked for", async () => {
    let context: HandlerContext | undefined;
    const { server, clock } = serveUnary((_, given) => {
      context = given;
      return never(_, given);
    });
    const call = server.connect().unary(unary, undefined, 100, undefined, {});
    call.catch(() => {});
    await clock.advance(30);
    expect(context?.timeoutMs()).toBe(70);
    await clock.advance(68.75);
    expect(context?.timeoutMs()).toBe(1); // whole ms
    await clock.advance(0.25);
    expect(context?.timeoutMs()).toBe(1);
    expect(server.inFlight).toBe(1);
    expect(context?.signal.aborted).toBe(false);
    await clock.advance(1);
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect(context?.signal.aborted).toBe(true);
  });

  it.each<{ what: string; handler: UnaryImpl }>([
    { what: "synchronous", handler: (request) => request },
    { what: "asynchronous", handler: async (request) => request },
    { what: "one that returns a foreign promise", handler: (request) => foreignPromise(request) as never },
  ])("a handler never runs in the stack of its caller: $what", async ({ handler }) => {
    const log: string[] = [];
    const { server } = serveUnary((request, context) => {
      log.push("handler");
      return handler(request, context);
    });
    const call = server.connect().unary(unary, undefined, undefined, undefined, { text: "a" });
    log.push("caller");
    expect((await call).message.text).toBe("a");
    expect(log).toEqual(["caller", "handler"]);
  });
});

describe("calls whose handlers have not begun", () => {
  it("are counted, waited for and cut by a drain", async () => {
    let begun = 0;
    const { server } = serveUnary(() => {
      begun++;
      return {};
    });
    const calls = [1, 2, 3].map(() => server.connect().unary(unary, undefined, undefined, undefined, {}));
    for (const call of calls) call.catch(() => {});
    expect(server.inFlight).toBe(3);
    expect(await server.drain(1_000)).toEqual({ cut: 0 });
    expect(begun).toBe(3);
  });

  it("never begin once they are cut", async () => {
    let begun = 0;
    const { server } = serveUnary(() => {
      begun++;
      return {};
    });
    const transport = server.connect();
    const mine = transport.unary(unary, undefined, undefined, undefined, {});
    const others = server.connect().unary(unary, undefined, undefined, undefined, {});
    void transport.close();
    await expect(mine).rejects.toMatchObject({ code: Code.Canceled });
    await others;
    expect(begun).toBe(1);
    expect(server.inFlight).toBe(0);
  });

  it("a drain counts those that it cuts, not those that had ended for their callers", async () => {
    const { server, clock } = serveUnary(never);
    const caller = new AbortController();
    const calls = [caller.signal, undefined, undefined].map((signal) =>
      server.connect().unary(unary, signal, undefined, undefined, {}),
    );
    const codes = Promise.all(calls.map((call) => call.catch(codeOf)));
    await turn();
    caller.abort();
    const drained = server.drain(50);
    await clock.advance(50);
    expect(await drained).toEqual({ cut: 2 });
    expect(await codes).toEqual([Code.Canceled, Code.Unavailable, Code.Unavailable]);
  });
});
