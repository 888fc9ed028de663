import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor, type StreamResponse, type UnaryResponse } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  deferredCalls,
  settle,
  streamRequest,
  streamResponse,
  unaryRequest,
  unaryResponse,
} from "../test/fixtures/deferred-calls.ts";
import { EchoService } from "../test/fixtures/echo-service.ts";
import { hedging } from "./hedging.ts";
import type { HedgeEvent, HedgingOptions } from "./hedging-options.ts";
import { retryLater } from "./retry-delay.ts";
import { FakeClock, seededRandom } from "./testing/index.ts";

const unavailable = new ConnectError("down", Code.Unavailable);
const notFound = new ConnectError("no such key", Code.NotFound);
const canceled = new ConnectError("enough", Code.Canceled);

/** A hedging client whose budget allows every hedge. */
function hedged(options: HedgingOptions = {}) {
  const clock = new FakeClock();
  const interceptor = hedging({ delayMs: 100, maxShare: 1, clock, ...options });
  /** Calls that pay for one more hedge each, and need none. */
  const payFor = async (hedges: number) => {
    const run = interceptor(async () => unaryResponse());
    for (let call = 0; call < hedges; call++) await run(unaryRequest());
  };
  return { clock, payFor, ...deferredCalls(interceptor) };
}

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (reason: unknown) => reason,
  );
}

describe("hedging", () => {
  it("does nothing to a call that is quick enough, and leaves nothing behind", async () => {
    const { clock, calls, run, at } = hedged();
    const request = unaryRequest();
    const call = run(request);
    await clock.advance(99);
    expect([calls.length, at(0).request.header]).toEqual([1, request.header]);
    at(0).succeed();
    expect(await call).toMatchObject({ stream: false });
    await settle();
    expect([clock.pending, getEventListeners(request.signal, "abort")]).toEqual([0, []]);
    expect(at(0).request.signal.aborted).toBe(true);
    await clock.advance(1_000);
    expect(calls).toHaveLength(1);
  });

  it("begins a second attempt after the delay, which says its number; the first answer counts, the loser is cancelled", async () => {
    const { clock, calls, run, at } = hedged();
    const request = unaryRequest();
    const call = run(request);
    await clock.advance(100);
    expect(calls).toHaveLength(2);
    expect(calls.map(({ request: { header } }) => header.get("grpc-previous-rpc-attempts"))).toEqual([null, "1"]);
    expect(request.header.has("grpc-previous-rpc-attempts")).toBe(false);
    at(1).succeed();
    expect(await call).toMatchObject({ stream: false });
    const { signal } = at(0).request;
    expect([signal.aborted, ConnectError.from(signal.reason).code]).toEqual([true, Code.Canceled]);
    expect([clock.pending, getEventListeners(request.signal, "abort")]).toEqual([0, []]);
  });

  it("a loser's late error or answer causes nothing, no unhandled rejection either", async () => {
    const { clock, run, at, payFor } = hedged({ maxAttempts: 3 });
    await payFor(1);
    const call = run(unaryRequest());
    await clock.advance(200);
    at(1).succeed();
    const response = await call;
    at(0).fail(unavailable);
    at(2).succeed();
    await settle();
    expect(await call).toBe(response);
  });

  it("begins no more than maxAttempts, each after one more delay, and tells of each", async () => {
    const events: HedgeEvent[] = [];
    const { clock, calls, run, payFor } = hedged({ maxAttempts: 4, onHedge: (event) => events.push(event) });
    await payFor(9);
    void run(unaryRequest());
    await clock.advance(10_000);
    expect(calls.map(({ request: { header } }) => header.get("grpc-previous-rpc-attempts"))).toEqual([
      null,
      "1",
      "2",
      "3",
    ]);
    const { get: method } = EchoService.method;
    const url = unaryRequest().url;
    expect(events).toEqual([
      { attempt: 2, elapsedMs: 100, method, url },
      { attempt: 3, elapsedMs: 200, method, url },
      { attempt: 4, elapsedMs: 300, method, url },
    ]);
    expect(clock.pending).toBe(0);
  });

  it("adds to the attempts that there were before, and takes the time that has passed from that of the call", async () => {
    const { clock, run, at } = hedged();
    const header = new Headers({ "grpc-previous-rpc-attempts": "2", "connect-timeout-ms": "1000" });
    void run({ ...unaryRequest(), header });
    await clock.advance(100);
    const sent = Object.fromEntries(at(1).request.header);
    expect(sent).toEqual({ "grpc-previous-rpc-attempts": "3", "connect-timeout-ms": "900" });
  });

  it("an attempt that fails ends nothing while another runs; a fatal error does, and so does the last one", async () => {
    const { clock, run, at } = hedged();
    const saved = run(unaryRequest());
    await clock.advance(100);
    at(0).fail(unavailable);
    await settle();
    at(1).succeed();
    expect(await saved).toMatchObject({ stream: false });

    const fatal = run(unaryRequest());
    await clock.advance(100);
    at(2).fail(notFound);
    expect(await errorOf(fatal)).toBe(notFound);
    expect(at(3).request.signal.aborted).toBe(true);

    const lost = run(unaryRequest());
    await clock.advance(100);
    at(5).fail(new ConnectError("slow", Code.DeadlineExceeded));
    await settle();
    at(4).fail(unavailable);
    expect(await errorOf(lost)).toBe(unavailable);
    expect(clock.pending).toBe(0);
  });

  it("an error of the only attempt is that of the call, and no reason for a hedge", async () => {
    const { clock, calls, run, at } = hedged();
    const call = run(unaryRequest());
    at(0).fail(unavailable);
    expect(await errorOf(call)).toBe(unavailable);
    await clock.advance(1_000);
    expect([calls.length, clock.pending]).toEqual([1, 0]);
  });

  it("a lost connection ends nothing while another attempt runs, whatever code the transport has for it", async () => {
    const { clock, run, at } = hedged();
    const saved = run(unaryRequest());
    await clock.advance(100);
    at(0).fail(ConnectError.from(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }), Code.Aborted));
    await settle();
    at(1).succeed();
    expect(await saved).toMatchObject({ stream: false });
  });

  it("which codes are fatal can be chosen", async () => {
    const { clock, run, at } = hedged({ nonFatalCodes: [Code.NotFound] });
    const saved = run(unaryRequest());
    await clock.advance(100);
    at(0).fail(notFound);
    await settle();
    at(1).fail(unavailable);
    expect(await errorOf(saved)).toBe(unavailable);
  });

  it.each([
    { title: "never: there are no more hedges", delayMs: Infinity, begun: { at199: 2, at600: 2, at1300: 2 } },
    { title: "later: the next hedge waits", delayMs: 500, begun: { at199: 2, at600: 2, at1300: 3 } },
    { title: "sooner than the delay: no difference", delayMs: 1, begun: { at199: 2, at600: 3, at1300: 3 } },
  ])("a server that asks for another attempt $title", async ({ delayMs, begun }) => {
    const { clock, calls, run, at, payFor } = hedged({ maxAttempts: 3 });
    await payFor(1);
    void run(unaryRequest());
    await clock.advance(150);
    at(0).fail(retryLater("busy", Code.Unavailable, delayMs));
    await clock.advance(49);
    const at199 = calls.length;
    await clock.advance(401);
    const at600 = calls.length;
    await clock.advance(700);
    expect({ at199, at600, at1300: calls.length }).toEqual(begun);
    expect(clock.pending).toBe(0);
  });

  it("a server that asks for no more attempts ends the timer at once, and leaves the budget alone", async () => {
    const { clock, calls, run, at, payFor } = hedged({ maxAttempts: 3 });
    await payFor(2);
    const request = unaryRequest();
    const call = run(request);
    await clock.advance(100);
    at(0).fail(retryLater("busy", Code.Unavailable, Infinity));
    await settle();
    expect(clock.pending).toBe(0);
    at(1).fail(unavailable);
    expect(await errorOf(call)).toBe(unavailable);
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
    // Two hedges are left, and the two calls pay for two more.
    for (let next = 0; next < 2; next++) void run(unaryRequest());
    await clock.advance(1_000);
    expect(calls).toHaveLength(2 + 2 * 3);
  });

  it("an abort ends the call at once, every attempt with it, and the timer", async () => {
    const { clock, run, calls, payFor } = hedged({ maxAttempts: 3 });
    await payFor(1);
    const controller = new AbortController();
    const call = run(unaryRequest({ signal: controller.signal }));
    await clock.advance(100);
    controller.abort(canceled);
    expect(await errorOf(call)).toBe(canceled);
    expect(calls.map(({ request: { signal } }) => signal.reason)).toEqual([canceled, canceled]);
    await settle();
    expect([clock.pending, getEventListeners(controller.signal, "abort")]).toEqual([0, []]);
    expect(await errorOf(run(unaryRequest({ signal: controller.signal })))).toBe(canceled);
    expect(calls).toHaveLength(2);
  });

  it("an abort by who is told of a hedge begins none", async () => {
    const controller = new AbortController();
    const { clock, run, calls } = hedged({ onHedge: () => controller.abort(canceled) });
    const call = errorOf(run(unaryRequest({ signal: controller.signal })));
    await clock.advance(100);
    expect([await call, calls.length, clock.pending]).toEqual([canceled, 1, 0]);
  });

  it("a transport that throws at once fails the call as one that rejects", async () => {
    const run = hedging({ clock: new FakeClock() })(() => {
      throw unavailable;
    });
    expect(await errorOf(run(unaryRequest()))).toBe(unavailable);
  });
});

describe("which calls are hedged", () => {
  const { set, get, list, upload, chat } = EchoService.method;
  const unary = (method: typeof get | typeof set) => ({ ...unaryRequest(), method });
  const stream = (method: typeof list | typeof upload | typeof chat) => ({ ...streamRequest(), method });

  it.each([
    { title: "idempotent: yes", request: unary(get), hedgeIf: undefined, attempts: 2 },
    { title: "nothing is known: no", request: unary(set), hedgeIf: undefined, attempts: 1 },
    { title: "nothing is known of a stream: no", request: stream(list), hedgeIf: undefined, attempts: 1 },
    { title: "the user says yes", request: unary(set), hedgeIf: () => true, attempts: 2 },
    { title: "the user says yes to a server stream", request: stream(list), hedgeIf: () => true, attempts: 2 },
    { title: "the user says no", request: unary(get), hedgeIf: () => false, attempts: 1 },
    { title: "the user says nothing", request: unary(get), hedgeIf: () => undefined, attempts: 2 },
    {
      title: "the user throws",
      request: unary(get),
      hedgeIf: () => {
        throw new Error("broken");
      },
      attempts: 2,
    },
    { title: "a request stream: never", request: stream(upload), hedgeIf: () => true, attempts: 1 },
    { title: "both ways: never", request: stream(chat), hedgeIf: () => true, attempts: 1 },
  ])("$title", async ({ request, hedgeIf, attempts }) => {
    const { clock, calls, run } = hedged({ hedgeIf });
    void run(request);
    await clock.advance(1_000);
    expect(calls).toHaveLength(attempts);
  });

  it("passes on what it does not hedge as it is", () => {
    const { run, at } = hedged();
    const request = unary(set);
    void run(request);
    expect(at(0).request).toBe(request);
  });
});

describe("the budget of hedges", () => {
  it("is a share of the calls, from the first one on; a call that gets none goes on as it is", async () => {
    const { clock, calls, run, at } = hedged({ maxShare: 0.5, maxAttempts: 2 });
    const first = run(unaryRequest());
    await clock.advance(200);
    expect(calls).toHaveLength(1);
    void run(unaryRequest());
    await clock.advance(100);
    expect(calls).toHaveLength(3);
    at(0).succeed();
    expect(await first).toMatchObject({ stream: false });
    for (let call = 0; call < 100; call++) void run(unaryRequest());
    await clock.advance(100);
    // 100 more calls have paid for 50 hedges, of which no more than 10 were saved up.
    expect(calls).toHaveLength(3 + 100 + 10);
  });

  it("saves up no more than maxBurst", async () => {
    const { clock, calls, run } = hedged({ maxBurst: 3 });
    for (let call = 0; call < 20; call++) void run(unaryRequest());
    await clock.advance(100);
    expect(calls).toHaveLength(23);
  });
});

describe("the learned delay", () => {
  /** Makes calls that take `ms`. */
  async function teach({ clock, run, calls }: ReturnType<typeof hedged>, count: number, ms: number) {
    for (let call = 0; call < count; call++) {
      const done = run(unaryRequest());
      const answer = calls.at(-1);
      await clock.advance(ms);
      answer?.succeed();
      await done;
    }
  }

  it("is the quantile of the method once there were minCalls; delayMs until then, or no hedge", async () => {
    const fixed = hedged({ quantile: 0.9, minCalls: 10 });
    await teach(fixed, 9, 20);
    void fixed.run(unaryRequest());
    await fixed.clock.advance(99);
    expect(fixed.calls).toHaveLength(10);
    await fixed.clock.advance(1);
    expect(fixed.calls).toHaveLength(11);
    await teach(fixed, 1, 20);
    void fixed.run(unaryRequest());
    await fixed.clock.advance(22);
    expect(fixed.calls).toHaveLength(14);

    const unknown = hedged({ delayMs: undefined, minCalls: 2 });
    void unknown.run(unaryRequest());
    await unknown.clock.advance(1e6);
    expect(unknown.calls).toHaveLength(1);
  });

  it("windowCalls: how long old calls count", async () => {
    const short = hedged({ quantile: 0.5, minCalls: 5, windowCalls: 10 });
    await teach(short, 20, 10);
    await teach(short, 10, 40);
    void short.run(unaryRequest());
    const before = short.calls.length;
    await short.clock.advance(39);
    expect(short.calls).toHaveLength(before);
    await short.clock.advance(5);
    expect(short.calls).toHaveLength(before + 1);
  });

  it("a first attempt that was overtaken counts with the time that it took at least, one that failed does not", async () => {
    const client = hedged({ quantile: 0.5, minCalls: 1, delayMs: 10 });
    const { clock, calls, run, at } = client;
    const overtaken = run(unaryRequest());
    await clock.advance(50);
    at(1).succeed();
    await overtaken;
    void run(unaryRequest());
    await clock.advance(49);
    expect(calls).toHaveLength(3);
    await clock.advance(6);
    expect(calls).toHaveLength(4);

    const failing = hedged({ quantile: 0.5, minCalls: 1 });
    const failed = errorOf(failing.run(unaryRequest()));
    failing.at(0).fail(unavailable);
    await failed;
    void failing.run(unaryRequest());
    await failing.clock.advance(99);
    expect(failing.calls).toHaveLength(2);
  });
});

describe("what a call teaches about the delay", () => {
  /** The delay that a client hedges after, once it had one call. */
  async function learned(teach: (client: ReturnType<typeof hedged>) => Promise<unknown>): Promise<number> {
    const client = hedged({ quantile: 0.5, minCalls: 1, delayMs: 500 });
    await teach(client);
    const before = client.calls.length;
    void client.run(unaryRequest());
    const startedMs = client.clock.monotonic();
    while (client.calls.length < before + 2) await client.clock.advance(1);
    return client.clock.monotonic() - startedMs;
  }

  it.each([
    {
      title: "an answer of the first attempt: its time",
      least: 80,
      most: 89,
      async teach({ clock, run, at }: ReturnType<typeof hedged>) {
        const call = run(unaryRequest());
        await clock.advance(80);
        at(0).succeed();
        await call;
      },
    },
    {
      title: "a fatal error of the first attempt: its time",
      least: 80,
      most: 89,
      async teach({ clock, run, at }: ReturnType<typeof hedged>) {
        const call = errorOf(run(unaryRequest()));
        await clock.advance(80);
        at(0).fail(notFound);
        await call;
      },
    },
    {
      title: "an answer after the first attempt failed: nothing",
      least: 500,
      most: 500,
      async teach({ clock, run, at }: ReturnType<typeof hedged>) {
        const call = run(unaryRequest());
        await clock.advance(510);
        at(0).fail(unavailable);
        await settle();
        at(1).succeed();
        await call;
      },
    },
    {
      title: "an answer of the first attempt after the second failed: its time",
      least: 600,
      most: 660,
      async teach({ clock, run, at }: ReturnType<typeof hedged>) {
        const call = run(unaryRequest());
        await clock.advance(510);
        at(1).fail(unavailable);
        await clock.advance(90);
        at(0).succeed();
        await call;
      },
    },
    {
      title: "an abort before the delay: nothing",
      least: 500,
      most: 500,
      async teach({ clock, run }: ReturnType<typeof hedged>) {
        const controller = new AbortController();
        const call = errorOf(run(unaryRequest({ signal: controller.signal })));
        await clock.advance(80);
        controller.abort(canceled);
        await call;
      },
    },
    {
      title: "an abort after the delay: the time until then",
      least: 600,
      most: 660,
      async teach({ clock, run }: ReturnType<typeof hedged>) {
        const controller = new AbortController();
        const call = errorOf(run(unaryRequest({ signal: controller.signal })));
        await clock.advance(600);
        controller.abort(canceled);
        await call;
      },
    },
  ])("$title", async ({ teach, least, most }) => {
    const delayMs = await learned(teach);
    expect(delayMs).toBeGreaterThanOrEqual(least);
    expect(delayMs).toBeLessThanOrEqual(most);
  });
});

describe("hedging of server streams", () => {
  const words = async function* (...values: string[]): AsyncGenerator<StringValue> {
    for (const value of values) yield create(StringValueSchema, { value });
  };

  interface Stream {
    readonly signal: AbortSignal;
    answer(messages: AsyncIterable<StringValue>): void;
  }

  function streaming(options: HedgingOptions = {}) {
    const clock = new FakeClock();
    const streams: Stream[] = [];
    const interceptor = hedging({ delayMs: 100, maxShare: 1, hedgeIf: () => true, clock, ...options });
    const run = interceptor(({ signal, message }) => {
      const { promise, resolve } = Promise.withResolvers<UnaryResponse | StreamResponse>();
      streams.push({ signal, answer: (messages) => resolve(streamResponse(messages)) });
      sent.push(message);
      return promise;
    });
    const sent: unknown[] = [];
    return { clock, streams, sent, run };
  }

  async function read(response: UnaryResponse | StreamResponse): Promise<string[]> {
    const values: string[] = [];
    for await (const message of (response as StreamResponse).message) values.push((message as StringValue).value);
    return values;
  }

  it("the first to have a message wins, its headers count for nothing; it ends with its own signal", async () => {
    const { clock, streams, run } = streaming();
    const { signal } = new AbortController();
    const call = run(streamRequest({ signal }));
    const never = Promise.withResolvers<IteratorResult<StringValue>>();
    streams[0]?.answer({ [Symbol.asyncIterator]: () => ({ next: () => never.promise }) });
    await clock.advance(100);
    streams[1]?.answer(words("a", "b"));
    const response = await call;
    expect(streams.map((stream) => stream.signal.aborted)).toEqual([true, false]);
    expect(await read(response)).toEqual(["a", "b"]);
    expect(streams.map((stream) => stream.signal.aborted)).toEqual([true, true]);
    expect([clock.pending, getEventListeners(signal, "abort")]).toEqual([0, []]);
    never.reject(unavailable);
    await settle();
  });

  it("an abort after the first message reaches the winner", async () => {
    const { clock, streams, run } = streaming();
    const controller = new AbortController();
    const call = run(streamRequest({ signal: controller.signal }));
    streams[0]?.answer(words("a", "b"));
    const response = (await call) as StreamResponse;
    expect(clock.pending).toBe(0);
    controller.abort(canceled);
    expect(streams[0]?.signal.reason).toBe(canceled);
    expect(response.stream).toBe(true);
  });

  it("a reader that leaves ends the winner, and a late answer of a loser is closed", async () => {
    const { clock, streams, run } = streaming();
    const { signal } = new AbortController();
    const call = run(streamRequest({ signal }));
    await clock.advance(100);
    streams[1]?.answer(words("a", "b"));
    const iterator = ((await call) as StreamResponse).message[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
    expect([streams[1]?.signal.aborted, getEventListeners(signal, "abort")]).toEqual([true, []]);
    const late = words("c", "d");
    streams[0]?.answer(late);
    await settle();
    expect(await late.next()).toEqual({ done: true, value: undefined });
  });

  it("every attempt sends the request message", async () => {
    const { clock, run, sent } = streaming();
    void run({ ...streamRequest(), message: words("question") });
    await clock.advance(100);
    for (const messages of sent) {
      const values: string[] = [];
      for await (const { value } of messages as AsyncIterable<StringValue>) values.push(value);
      expect(values).toEqual(["question"]);
    }
    expect(sent).toHaveLength(2);
  });
});

describe("hedging where 3 % of the calls are 20 times slower", () => {
  /** Makes calls one after the other in a fixed rhythm to backends in round robin. Returns their times and the load. */
  async function simulate(seed: number, count: number, create: (clock: FakeClock) => Interceptor) {
    const clock = new FakeClock();
    const backends = Array.from({ length: 3 }, (_, index) => seededRandom(seed * 3 + index));
    let load = 0;
    const run = create(clock)(async ({ signal }) => {
      const random = backends[load++ % backends.length] ?? Math.random;
      const usualMs = 5 + 10 * random();
      await clock.sleep(random() < 0.03 ? usualMs * 20 : usualMs, signal);
      return unaryResponse();
    });
    const times: number[] = [];
    const callOnce = async () => {
      const startMs = clock.monotonic();
      await run(unaryRequest());
      times.push(clock.monotonic() - startMs);
    };
    const calls: Promise<void>[] = [];
    for (let call = 0; call < count; call++) {
      calls.push(callOnce());
      await clock.advance(3);
    }
    await clock.advance(1_000);
    await Promise.all(calls);
    expect(clock.pending).toBe(0);
    const p99 = times.toSorted((a, b) => a - b)[Math.ceil(count * 0.99) - 1] ?? Number.NaN;
    return { p99, extra: load / count - 1 };
  }

  it.each([1, 2, 3])("p99 is at most half, extra load at most 5 %, with seed %d", async (seed) => {
    const plain = await simulate(seed, 3_000, () => (next) => (request) => next(request));
    const learned = await simulate(seed, 3_000, (clock) => hedging({ clock }));
    const fixed = await simulate(seed, 3_000, (clock) => hedging({ clock, delayMs: 16 }));
    for (const { p99, extra } of [learned, fixed]) {
      expect(p99).toBeLessThanOrEqual(plain.p99 / 2);
      expect(extra).toBeLessThanOrEqual(0.05);
      expect(extra).toBeGreaterThan(0.01);
    }
  });
});
