import { getEventListeners } from "node:events";
import { Code, ConnectError, createContextValues, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { deferredCalls, settle, streamRequest, streamResponse, unaryRequest } from "../test/fixtures/deferred-calls.ts";
import { serverDeadline } from "./deadline.ts";
import { DeadlineError } from "./deadline-error.ts";
import type { Next } from "./internal/observe-call.ts";
import { createCallPropagation, type PropagationOptions } from "./propagation.ts";
import { FakeClock } from "./testing/fake-clock.ts";

const canceled = new ConnectError("stream reset", Code.Canceled);
const ended = { code: Code.Canceled, rawMessage: "the incoming call has ended" };

/** A handler that waits until the test ends its call, and a client for it to use. */
function setUp(options: PropagationOptions = {}) {
  const clock = new FakeClock();
  const propagation = createCallPropagation({ clock, ...options });
  const { calls, at, run: client } = deferredCalls(propagation.client);
  /** Serves a call of `askedMs` with `handler`. */
  const serve = (handler: () => unknown, askedMs?: number, ...outer: Interceptor[]) => {
    const controller = new AbortController();
    const header = new Headers(askedMs === undefined ? {} : { "connect-timeout-ms": `${askedMs}` });
    const end = Promise.withResolvers<never>();
    let next: Next = propagation.server(async () => {
      await handler();
      return end.promise;
    });
    for (const interceptor of outer) next = interceptor(next);
    const served = next({ ...unaryRequest({ signal: controller.signal }), header });
    served.catch(() => {});
    return { controller, served };
  };
  const outgoing = (askedMs?: number) => {
    const request = unaryRequest();
    if (askedMs !== undefined) request.header.set("connect-timeout-ms", `${askedMs}`);
    return request;
  };
  return { clock, propagation, calls, at, client, serve, outgoing };
}

describe("the time of an outgoing call", () => {
  it.each([
    { incoming: 1_000, after: 0, asked: undefined, marginMs: undefined, told: "999" },
    { incoming: 1_000, after: 100, asked: undefined, marginMs: undefined, told: "899" },
    { incoming: 1_000, after: 0.25, asked: undefined, marginMs: undefined, told: "999" },
    { incoming: 1_000, after: 0, asked: 5_000, marginMs: undefined, told: "999" },
    { incoming: 1_000, after: 0, asked: 1_000, marginMs: undefined, told: "999" },
    { incoming: 1_000, after: 0, asked: 200, marginMs: undefined, told: "200" },
    { incoming: undefined, after: 0, asked: 200, marginMs: undefined, told: "200" },
    { incoming: undefined, after: 0, asked: undefined, marginMs: undefined, told: null },
    { incoming: 1_000, after: 0, asked: undefined, marginMs: 50, told: "949" },
    { incoming: 2, after: 0, asked: undefined, marginMs: undefined, told: "1" },
  ])("incoming $incoming ms, $after ms later, own $asked, margin $marginMs: tells $told", async (row) => {
    const { clock, client, serve, outgoing, at } = setUp({ marginMs: row.marginMs });
    const request = outgoing(row.asked);
    const before = [...request.header];
    serve(async () => {
      await clock.sleep(row.after);
      void client(request);
    }, row.incoming);
    await clock.advance(row.after);
    expect(at(0).request.header.get("connect-timeout-ms")).toBe(row.told);
    expect([...request.header]).toEqual(before);
  });

  it.each([
    { incoming: 0, after: 0 },
    { incoming: 1, after: 0 },
    { incoming: 100, after: 99 },
    { incoming: 100, after: 150 },
  ])("a call is not made when nothing is left: incoming $incoming ms, $after ms later", async ({ incoming, after }) => {
    const { clock, client, serve, outgoing, calls } = setUp();
    const failed = Promise.withResolvers<unknown>();
    serve(async () => {
      await clock.sleep(after);
      client(outgoing()).catch(failed.resolve);
    }, incoming);
    await clock.advance(after);
    expect(await failed.promise).toMatchObject({
      code: Code.DeadlineExceeded,
      rawMessage: "no time left of the incoming call",
      cause: new DeadlineError(0, true),
    });
    expect([calls.length, clock.pending]).toEqual([0, 0]);
  });

  it("is limited by serverDeadline, too", async () => {
    const { clock, client, serve, outgoing, at } = setUp();
    const { served } = serve(
      () => void client(outgoing()).catch(() => {}),
      5_000,
      serverDeadline({ maxMs: 300, clock }),
    );
    expect(at(0).request.header.get("connect-timeout-ms")).toBe("299");
    await clock.advance(300);
    await expect(served).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect(at(0).request.signal.reason).toMatchObject({ code: Code.DeadlineExceeded, cause: { inherited: true } });
    expect(clock.pending).toBe(0);
  });

  it("needs no timer without a margin, and with one ends the call that much earlier", async () => {
    const plain = setUp();
    plain.serve(() => void plain.client(plain.outgoing()), 1_000);
    await settle();
    expect(plain.clock.pending).toBe(0);
    const { clock, client, serve, outgoing } = setUp({ marginMs: 50 });
    const failed = Promise.withResolvers<unknown>();
    serve(() => void client(outgoing()).catch(failed.resolve), 1_000);
    await settle();
    expect(clock.nextDueMs).toBe(950);
    await clock.advance(950);
    expect(await failed.promise).toMatchObject({ cause: new DeadlineError(950, true) });
    expect(clock.pending).toBe(0);
  });

  it("with a margin, a call whose own time is shorter has no timer of ours", async () => {
    const { clock, client, serve, outgoing } = setUp({ marginMs: 50 });
    serve(() => void client(outgoing(900)), 1_000);
    await settle();
    expect(clock.pending).toBe(0);
  });
});

describe("the end of an outgoing call", () => {
  it.each([
    { title: "is cancelled", reason: canceled, error: { ...ended, cause: canceled } },
    { title: "has been answered", reason: new DOMException("This operation was aborted", "AbortError"), error: ended },
    {
      title: "runs out of time",
      reason: new ConnectError("the operation timed out", Code.DeadlineExceeded),
      error: { code: Code.DeadlineExceeded, cause: new DeadlineError(1_000, true) },
    },
  ])("comes with an incoming call that $title; later calls are not made", async ({ reason, error }) => {
    const { clock, client, serve, outgoing, calls, at } = setUp();
    const later = Promise.withResolvers<void>();
    const failed: unknown[] = [];
    const tell = (why: unknown) => failed.push(why);
    const { controller } = serve(() => {
      void client(outgoing()).catch(tell);
      void client(outgoing()).catch(tell);
      void later.promise.then(() => client(outgoing())).catch(tell);
    }, 1_000);
    expect(getEventListeners(controller.signal, "abort").length).toBe(1);
    controller.abort(reason);
    later.resolve();
    await settle();
    expect(failed).toMatchObject([error, error, error]);
    expect([at(0).request.signal.reason, at(1).request.signal.reason]).toMatchObject([error, error]);
    expect([calls.length, clock.pending, getEventListeners(controller.signal, "abort").length]).toEqual([2, 0, 0]);
  });

  it("comes too when none was made before the incoming call ended", async () => {
    const { client, serve, outgoing, calls } = setUp();
    const later = Promise.withResolvers<void>();
    const failed = Promise.withResolvers<unknown>();
    const { controller } = serve(() => void later.promise.then(() => client(outgoing())).catch(failed.resolve));
    controller.abort(canceled);
    later.resolve();
    expect(await failed.promise).toMatchObject(ended);
    expect(calls).toEqual([]);
  });

  it("is its own when it comes first", async () => {
    const { client, serve, outgoing, at } = setUp();
    const answered = Promise.withResolvers<unknown>();
    const own = outgoing(10);
    const { controller } = serve(() => {
      answered.resolve(client(own));
    }, 1_000);
    at(0).succeed();
    await answered.promise;
    controller.abort(canceled);
    await settle();
    expect([at(0).request.signal.aborted, getEventListeners(own.signal, "abort").length]).toEqual([false, 0]);
  });

  it("does not come with another incoming call", async () => {
    const { client, serve, outgoing, at } = setUp();
    const { controller } = serve(() => void client(outgoing()).catch(() => {}));
    serve(() => void client(outgoing()).catch(() => {}));
    controller.abort(canceled);
    expect([at(0).request.signal.aborted, at(1).request.signal.aborted]).toEqual([true, false]);
  });

  it("what is called in detached has neither its time nor its end", async () => {
    const { propagation, client, serve, outgoing, at } = setUp();
    const request = outgoing();
    const { controller } = serve(
      () =>
        propagation.detached(async () => {
          await settle();
          await client(request);
        }),
      1_000,
    );
    controller.abort(canceled);
    await settle();
    expect(at(0).request).toBe(request);
  });

  it("what is called outside of any call passes as it is, and detached returns what its work does", () => {
    const { propagation, client, outgoing, at } = setUp();
    const request = outgoing();
    void client(request);
    expect(at(0).request).toBe(request);
    expect(propagation.detached(() => 5)).toBe(5);
  });
});

describe("handlers of streams", () => {
  /** A stream of the handler's generator, in a call with 1000 ms. */
  async function open(generate: (call: () => string) => AsyncIterable<never>) {
    const { clock, propagation, calls, at, client, outgoing } = setUp();
    /** Makes a call, and says what it told. */
    const call = () => {
      void client(outgoing()).catch(() => {});
      return calls.at(-1)?.request.header.get("connect-timeout-ms") ?? "nothing";
    };
    const run = propagation.server(async () => streamResponse(generate(call)));
    const header = new Headers({ "connect-timeout-ms": "1000" });
    const response = await run({ ...streamRequest(), header, contextValues: createContextValues() });
    if (!response.stream) throw new Error("not a stream");
    return { clock, at, reader: response.message[Symbol.asyncIterator]() };
  }

  it("are in their call before the first message, between messages, and when they are left", async () => {
    const told: string[] = [];
    const { clock, reader } = await open(async function* (call) {
      try {
        told.push(call());
        yield {} as never;
        told.push(call());
        await settle();
        told.push(call());
        yield {} as never;
      } finally {
        told.push(call());
      }
    });
    await reader.next();
    await clock.advance(100);
    await reader.next();
    await clock.advance(100);
    await reader.return?.();
    expect(told).toEqual(["999", "899", "899", "799"]);
  });

  it("are in their call when they are thrown into, and when reads come before they are answered", async () => {
    const told: string[] = [];
    const { reader } = await open(async function* (call) {
      try {
        await settle();
        yield {} as never;
        told.push(call());
        yield {} as never;
      } catch {
        told.push(call());
      }
    });
    await Promise.all([reader.next(), reader.next()]);
    expect(await reader.throw?.(canceled)).toEqual({ done: true, value: undefined });
    expect(told).toEqual(["999", "999"]);
  });

  it("need not be generators", async () => {
    const { reader } = await open(() => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }));
    expect(await reader.return?.("x")).toEqual({ done: true, value: "x" });
    await expect(reader.throw?.(canceled)).rejects.toBe(canceled);
  });
});
