import { Code, ConnectError, type HandlerContext, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { createCallPropagation, serverDeadline } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { startEchoServer } from "./fixtures/echo-server.ts";
import type { EchoService } from "./fixtures/echo-service.ts";
import { kindsOver, stuckEcho } from "./fixtures/stuck-echo.ts";
import { connectTo, type Protocol, protocols } from "./fixtures/troubled-server.ts";

const code = (reason: unknown) => (reason instanceof ConnectError ? Code[reason.code] : reason);

/** The time that the headers of a call give its server. */
function toldMs({ requestHeader }: HandlerContext): number {
  const told = requestHeader.get("connect-timeout-ms") ?? requestHeader.get("grpc-timeout") ?? "none";
  return Number(told.replace(/m$/, ""));
}

/** A server that passes each call on to the server of a port, and that server's answer back. Knows nothing of signals. */
async function startRelay(protocol: Protocol, port: number, ...outer: Interceptor[]) {
  const { client: onClient, server: onServer } = createCallPropagation();
  const next = connectTo(port, protocol, onClient);
  const arrived = Promise.withResolvers<HandlerContext>();
  const ended = Promise.withResolvers<unknown>();
  const told = async <T>(work: Promise<T>): Promise<T> => {
    work.catch(ended.resolve);
    return await work;
  };
  const relay = async function* (messages: AsyncIterable<{ value: string }>) {
    try {
      // Not from the first read on: a later one, too, has to be within the call.
      yield { value: "relay" };
      for await (const { value } of messages) yield { value };
    } catch (reason) {
      ended.resolve(reason);
      throw reason;
    }
  };
  const impl: Partial<ServiceImpl<typeof EchoService>> = {
    get(request, context) {
      arrived.resolve(context);
      return told(next.get(request));
    },
    async *list(request, context) {
      arrived.resolve(context);
      yield* relay({ [Symbol.asyncIterator]: () => next.list(request)[Symbol.asyncIterator]() });
    },
    upload(requests, context) {
      arrived.resolve(context);
      return told(next.upload(requests));
    },
    async *chat(requests, context) {
      arrived.resolve(context);
      yield* relay({ [Symbol.asyncIterator]: () => next.chat(requests)[Symbol.asyncIterator]() });
    },
  };
  const server = await startEchoServer(protocol, impl, ...outer, onServer);
  return {
    port: server.port,
    arrived: arrived.promise,
    ended: ended.promise,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe.each(protocols)("%s", (protocol) => {
  describe.each(kindsOver(protocol))("$kind, three hops", ({ call }) => {
    it("each hop has less time than the one before, and the end of the first reaches the last", async () => {
      const last = stuckEcho();
      await using third = await startEchoServer(protocol, last.impl);
      await using second = await startRelay(protocol, third.port);
      await using first = await startRelay(protocol, second.port);
      const client = connectTo(first.port, protocol, (next) => next);
      const controller = new AbortController();
      const failed = call(client, { signal: controller.signal, timeoutMs: 60_000 }).catch(code);
      const hops = [await first.arrived, await second.arrived, await last.arrived];
      const [one = 0, two = 0, three = 0] = hops.map(toldMs);
      expect(one).toBe(60_000);
      expect(two).toBeLessThan(one);
      expect(three).toBeLessThan(two);
      expect(hops[2]?.timeoutMs()).toBeLessThan(two);
      controller.abort(new ConnectError("enough", Code.Canceled));
      expect(await failed).toBe("Canceled");
      expect((await last.aborted).aborted).toBe(true);
      expect([code(await first.ended), code(await second.ended)]).toEqual(["Canceled", "Canceled"]);
    });

    it("the deadline of the first hop ends all of them", async () => {
      const clock = new FakeClock();
      const last = stuckEcho();
      await using third = await startEchoServer(protocol, last.impl);
      await using second = await startRelay(protocol, third.port);
      await using first = await startRelay(protocol, second.port, serverDeadline({ maxMs: 30_000, clock }));
      const client = connectTo(first.port, protocol, (next) => next);
      const failed = call(client).catch(code);
      expect(toldMs(await last.arrived)).toBeLessThan(30_000);
      await clock.advance(30_000);
      expect(await failed).toBe("DeadlineExceeded");
      expect(code(await first.ended)).toBe("DeadlineExceeded");
      expect((await last.aborted).aborted).toBe(true);
    });
  });

  it("a call that the handler left behind ends with its call, unless it was detached", async () => {
    const propagation = createCallPropagation();
    const [left, detached] = [stuckEcho(), stuckEcho()];
    await using behindLeft = await startEchoServer(protocol, left.impl);
    await using behindDetached = await startEchoServer(protocol, detached.impl);
    const leaveTo = connectTo(behindLeft.port, protocol, propagation.client);
    const detachTo = connectTo(behindDetached.port, protocol, propagation.client);
    const controller = new AbortController();
    const results: Promise<unknown>[] = [];
    const impl: Partial<ServiceImpl<typeof EchoService>> = {
      async get() {
        results.push(leaveTo.get({}).catch(code));
        const options = { signal: controller.signal };
        results.push(propagation.detached(() => detachTo.get({}, options).catch(code)));
        await Promise.all([left.arrived, detached.arrived]);
        return {};
      },
    };
    await using server = await startEchoServer(protocol, impl, propagation.server);
    await connectTo(server.port, protocol, (next) => next).get({});
    expect(await results[0]).toBe("Canceled");
    await left.aborted;
    expect((await detached.arrived).signal.aborted).toBe(false);
    controller.abort(new ConnectError("enough", Code.Canceled));
    expect(await results[1]).toBe("Canceled");
  });
});
