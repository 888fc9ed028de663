import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { deferredCalls, settle, streamRequest, streamResponse, unaryRequest } from "../test/fixtures/deferred-calls.ts";
import { clientDeadline, serverDeadline } from "./deadline.ts";
import { DeadlineError } from "./deadline-error.ts";
import { deadlineKey } from "./deadline-key.ts";
import { FakeClock } from "./testing/fake-clock.ts";

const message = create(StringValueSchema, { value: "hello" });
const canceled = new ConnectError("enough", Code.Canceled);

const outOfTime = (timeoutMs: number) => ({
  code: Code.DeadlineExceeded,
  rawMessage: `no end within ${timeoutMs} ms`,
  cause: new DeadlineError(timeoutMs, false),
});

/** Everything that a call could leave behind. */
const left = (clock: FakeClock, signal: AbortSignal) => [clock.pending, getEventListeners(signal, "abort").length];

function calls(make: (options: { defaultMs: number; clock: FakeClock }) => Interceptor, defaultMs = 100) {
  const clock = new FakeClock();
  return { clock, ...deferredCalls(make({ defaultMs, clock })) };
}

describe("clientDeadline", () => {
  it.each([
    { has: {}, told: { "connect-timeout-ms": "500" } },
    { has: { "content-type": "application/proto" }, told: { "connect-timeout-ms": "500" } },
    { has: { "content-type": "application/grpc" }, told: { "grpc-timeout": "500m" } },
    { has: { "content-type": "application/grpc-web+proto" }, told: { "grpc-timeout": "500m" } },
    { has: { "connect-timeout-ms": "2001" }, told: { "connect-timeout-ms": "2000" } },
    { has: { "content-type": "application/grpc", "grpc-timeout": "1H" }, told: { "grpc-timeout": "2000m" } },
    { has: { "connect-timeout-ms": "2000" }, told: {} },
    { has: { "content-type": "application/grpc", "grpc-timeout": "2S" }, told: {} },
    { has: { "connect-timeout-ms": "5" }, told: {} },
  ])("tells the server of a call with $has: $told", async ({ has, told }) => {
    const { run, at } = deferredCalls(clientDeadline({ defaultMs: 500, maxMs: 2_000, clock: new FakeClock() }));
    const header = new Headers(Object.entries(has));
    const call = run({ ...unaryRequest(), header });
    at(0).succeed();
    await call;
    const sent = new Headers(header);
    for (const [name, value] of Object.entries(told)) sent.set(name, value);
    expect(Object.fromEntries(at(0).request.header)).toEqual(Object.fromEntries(sent));
    expect(Object.fromEntries(header)).toEqual(has);
  });

  it.each([
    { options: {}, asked: undefined },
    { options: { defaultMs: 500 }, asked: "600" },
    { options: { maxMs: 500 }, asked: "500" },
    {
      options: { defaultMs: 5, methods: { "cpg.test.v1.EchoService/Get": { defaultMs: Infinity } } },
      asked: undefined,
    },
  ])(
    "leaves a call alone that has no limit, or keeps it already: $options, asked $asked",
    async ({ options, asked }) => {
      const { run, at } = deferredCalls(clientDeadline({ ...options, clock: new FakeClock() }));
      const request = unaryRequest();
      if (asked !== undefined) request.header.set("connect-timeout-ms", asked);
      void run(request);
      expect(at(0).request).toBe(request);
    },
  );

  it("does not send a call that has no time left", async () => {
    const { run, calls } = deferredCalls(clientDeadline({ defaultMs: 500 }));
    const request = unaryRequest();
    request.header.set("connect-timeout-ms", "0");
    await expect(run(request)).rejects.toMatchObject({ code: Code.DeadlineExceeded, rawMessage: "no time left" });
    expect(calls).toEqual([]);
  });

  it("the limits of a method that a function gets wrong fail the call, not the program", async () => {
    const { run } = deferredCalls(clientDeadline({ methods: () => ({ maxMs: 0 }) }));
    await expect(run(unaryRequest())).rejects.toBeInstanceOf(RangeError);
  });
});

describe.each([
  { name: "clientDeadline", make: clientDeadline },
  { name: "serverDeadline", make: serverDeadline },
])("$name, unary calls", ({ make }) => {
  it("fails a call when its time is up, whatever becomes of it further in; what answers later is dropped", async () => {
    const { clock, run, at } = calls(make);
    const request = unaryRequest();
    const call = run(request);
    const failed = expect(call).rejects.toMatchObject(outOfTime(100));
    const { signal } = at(0).request;
    await clock.advance(99);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    await failed;
    expect(signal.reason).toMatchObject(outOfTime(100));
    expect(left(clock, request.signal)).toEqual([0, 0]);
    at(0).succeed();
    await settle();
    await expect(call).rejects.toMatchObject(outOfTime(100));
  });

  it.each([
    { title: "answers", end: "succeed" },
    { title: "fails", end: "fail" },
  ] as const)("leaves nothing of a call that $title in time", async ({ end }) => {
    const { clock, run, at } = calls(make);
    const request = unaryRequest();
    const call = run(request).then(
      () => "ok",
      (reason: unknown) => reason,
    );
    await clock.waitForSleep();
    const error = new Error("no");
    at(0)[end](error);
    expect(await call).toBe(end === "fail" ? error : "ok");
    expect(left(clock, request.signal)).toEqual([0, 0]);
    await clock.advance(1_000);
    expect(at(0).request.signal.reason).not.toBeInstanceOf(ConnectError);
  });

  it("no timer is started for a call that ends at once", async () => {
    const clock = new FakeClock();
    let slept = false;
    void clock.nextSleep().then(() => {
      slept = true;
    });
    const { run, at } = deferredCalls(make({ defaultMs: 100, clock }));
    const two = [run(unaryRequest()), run(unaryRequest()), run(unaryRequest())];
    for (const index of [1, 0, 2]) at(index).succeed();
    await Promise.all(two);
    await settle();
    expect(slept).toBe(false);
  });

  it("a failure of what is further in, thrown at once, leaves nothing", async () => {
    const clock = new FakeClock();
    const error = new Error("no");
    const request = unaryRequest();
    const run = make({ defaultMs: 100, clock })(() => {
      throw error;
    });
    await expect(run(request)).rejects.toBe(error);
    await settle();
    expect(left(clock, request.signal)).toEqual([0, 0]);
  });

  it("passes on the caller's abort, and takes the call for ended when it is", async () => {
    const { clock, run, at } = calls(make);
    const controller = new AbortController();
    const call = run(unaryRequest({ signal: controller.signal }));
    await clock.waitForSleep();
    controller.abort(canceled);
    expect(at(0).request.signal.reason).toBe(canceled);
    at(0).fail(new Error("closed"));
    await expect(call).rejects.toThrow("closed");
    expect(left(clock, controller.signal)).toEqual([0, 0]);
  });

  it("a deadline further out ends the call at once", async () => {
    const { clock, run, at } = calls(make);
    const controller = new AbortController();
    const call = run(unaryRequest({ signal: controller.signal }));
    const outer = new ConnectError("the operation timed out", Code.DeadlineExceeded);
    controller.abort(outer);
    await expect(call).rejects.toBe(outer);
    expect(at(0).request.signal.reason).toBe(outer);
    expect(left(clock, controller.signal)).toEqual([0, 0]);
  });

  it("does not make a call whose signal has aborted", async () => {
    const { clock, run, calls: made } = calls(make);
    const request = unaryRequest({ signal: AbortSignal.abort(canceled) });
    await expect(run(request)).rejects.toBe(canceled);
    expect([made.length, ...left(clock, request.signal)]).toEqual([0, 0, 0]);
  });

  it("calls that begin together end each at its own time", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    const started = [30, 10, 20].map((maxMs) => {
      const { run } = deferredCalls(make({ maxMs, clock }));
      return run(unaryRequest()).catch((error: ConnectError) => log.push(`${clock.monotonic()}: ${error.rawMessage}`));
    });
    await clock.advance(15);
    expect(log).toEqual(["10: no end within 10 ms"]);
    await clock.advance(15);
    await Promise.all(started);
    expect(log.slice(1)).toEqual(["20: no end within 20 ms", "30: no end within 30 ms"]);
  });

  it("who listens to a signal is not told within another call", async () => {
    const { clock, run, calls: made } = calls(make);
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const failed = ["a", "b"].map((name) =>
      storage.run(name, () => {
        const call = run(unaryRequest());
        made.at(-1)?.request.signal.addEventListener("abort", () => seen.push(storage.getStore()));
        return call.catch(() => seen.push(storage.getStore()));
      }),
    );
    await clock.advance(100);
    await Promise.all(failed);
    expect(seen).toEqual([undefined, "a", undefined, "b"]);
  });
});

/** A stream that gives what is pushed, and logs how it is left. */
function source() {
  const log: string[] = [];
  const reads: PromiseWithResolvers<IteratorResult<StringValue>>[] = [];
  const read = () => {
    const next = reads.shift();
    if (next === undefined) throw new Error("nobody reads");
    return next;
  };
  const messages = {
    [Symbol.asyncIterator]: () => ({
      next() {
        const pending = Promise.withResolvers<IteratorResult<StringValue>>();
        reads.push(pending);
        return pending.promise;
      },
      async return() {
        log.push("return");
        return { done: true as const, value: undefined };
      },
      async throw(reason: unknown): Promise<never> {
        log.push("throw");
        throw reason;
      },
    }),
  };
  return {
    log,
    messages,
    give: () => read().resolve({ done: false, value: message }),
    end: () => read().resolve({ done: true, value: undefined }),
    fail: (reason: unknown) => read().reject(reason),
  };
}

describe.each([
  { name: "clientDeadline", make: clientDeadline },
  { name: "serverDeadline", make: serverDeadline },
])("$name, streams", ({ make }) => {
  async function open() {
    const clock = new FakeClock();
    const request = streamRequest();
    const stream = source();
    let signal: AbortSignal | undefined;
    const response = await make({ defaultMs: 100, clock })(async (sent) => {
      signal = sent.signal;
      return streamResponse(stream.messages);
    })(request);
    await settle();
    if (!response.stream) throw new Error("not a stream");
    return { clock, request, stream, signal, reader: response.message[Symbol.asyncIterator]() };
  }

  it("fails the read that is pending when the time is up, and leaves the stream", async () => {
    const { clock, request, stream, signal, reader } = await open();
    const first = reader.next();
    stream.give();
    expect(await first).toEqual({ done: false, value: message });
    const reads = Promise.allSettled([reader.next(), reader.next()]);
    await clock.advance(100);
    const failed = { status: "rejected", reason: outOfTime(100) };
    expect(await reads).toMatchObject([failed, failed]);
    expect(signal?.reason).toMatchObject(outOfTime(100));
    expect([stream.log, ...left(clock, request.signal)]).toEqual([["return"], 0, 0]);
    stream.give();
    await settle();
  });

  it("abort between two stream reads: the time is up then, and the next read says so", async () => {
    const { clock, stream, signal, reader } = await open();
    const first = reader.next();
    stream.give();
    await first;
    await clock.advance(100);
    expect([signal?.aborted, stream.log]).toEqual([true, ["return"]]);
    await expect(reader.next()).rejects.toMatchObject(outOfTime(100));
    await expect(reader.next()).rejects.toMatchObject(outOfTime(100));
  });

  it("is over when the last message was read, and not before", async () => {
    const { clock, request, stream, signal, reader } = await open();
    const first = reader.next();
    stream.give();
    await first;
    expect(left(clock, request.signal)).toEqual([1, 1]);
    const last = reader.next();
    stream.end();
    expect(await last).toEqual({ done: true, value: undefined });
    expect([signal?.aborted, ...left(clock, request.signal)]).toEqual([true, 0, 0]);
  });

  it.each([
    { title: "fails", log: [] },
    { title: "is left", log: ["return"] },
    { title: "is thrown into", log: ["throw"] },
  ])("leaves nothing of a stream that $title", async ({ title, log }) => {
    const { clock, request, stream, reader } = await open();
    const error = new Error("no");
    const ways: Record<string, () => Promise<unknown>> = {
      fails() {
        const read = reader.next();
        stream.fail(error);
        return expect(read).rejects.toBe(error);
      },
      "is left": async () => expect(await reader.return?.()).toEqual({ done: true, value: undefined }),
      "is thrown into": () => expect(reader.throw?.(error)).rejects.toBe(error),
    };
    await ways[title]?.();
    expect([stream.log, ...left(clock, request.signal)]).toEqual([log, 0, 0]);
  });

  it("a stream that cannot be left", async () => {
    const endless = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: message }) }) };
    const openEndless = async (clock: FakeClock) => {
      const run = make({ defaultMs: 100, clock })(async () => streamResponse(endless));
      const response = await run(streamRequest());
      if (!response.stream) throw new Error("not a stream");
      return response.message[Symbol.asyncIterator]();
    };
    const clock = new FakeClock();
    expect(await (await openEndless(clock)).return?.("x")).toEqual({ done: true, value: "x" });
    await expect((await openEndless(clock)).throw?.(canceled)).rejects.toBe(canceled);
    const reader = await openEndless(clock);
    await clock.advance(100);
    await expect(reader.next()).rejects.toMatchObject(outOfTime(100));
    expect(clock.pending).toBe(0);
  });

  it("leaves a stream that opens too late", async () => {
    const clock = new FakeClock();
    const stream = source();
    const opening = Promise.withResolvers<StreamResponse>();
    const call = make({ defaultMs: 100, clock })(() => opening.promise)(streamRequest());
    const failed = expect(call).rejects.toMatchObject(outOfTime(100));
    await clock.advance(100);
    await failed;
    opening.resolve(streamResponse(stream.messages));
    await settle();
    expect(stream.log).toEqual(["return"]);
  });
});

describe("serverDeadline", () => {
  it.each([
    { asked: undefined, timer: 500 },
    { asked: "100", timer: undefined },
    { asked: "2000", timer: undefined },
    { asked: "2001", timer: 2_000 },
  ])("a call that asks for $asked: own timer $timer", async ({ asked, timer }) => {
    const clock = new FakeClock();
    const { run, at } = deferredCalls(serverDeadline({ defaultMs: 500, maxMs: 2_000, clock }));
    const request = unaryRequest();
    if (asked !== undefined) request.header.set("connect-timeout-ms", asked);
    const call = run(request);
    await settle();
    expect(clock.nextDueMs).toBe(timer);
    expect(request.contextValues.get(deadlineKey)?.leftMs()).toBe(timer ?? Number(asked));
    at(0).succeed();
    await call;
    expect([at(0).request.signal.aborted, ...left(clock, request.signal)]).toEqual([true, 0, 0]);
  });

  it("a call without a limit passes as it is", async () => {
    const { run, at } = deferredCalls(serverDeadline({ clock: new FakeClock() }));
    const request = unaryRequest();
    void run(request);
    expect(at(0).request).toBe(request);
  });

  it.each([
    { outer: 100, inner: 50 },
    { outer: 50, inner: 100 },
  ])("of two, $outer ms outside of $inner ms, a handler learns the shorter", ({ outer, inner }) => {
    const clock = new FakeClock();
    const { run } = deferredCalls(serverDeadline({ maxMs: inner, clock }));
    const request = unaryRequest();
    void serverDeadline({ maxMs: outer, clock })(run)(request);
    expect(request.contextValues.get(deadlineKey)?.leftMs()).toBe(50);
  });

  it("the limits of a method that a function gets wrong fail the call, not the program", async () => {
    const { run } = deferredCalls(serverDeadline({ methods: () => ({ maxMs: 0 }) }));
    await expect(run(unaryRequest())).rejects.toBeInstanceOf(RangeError);
  });
});
