import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { deferredCalls, settle, streamRequest, streamResponse, unaryRequest } from "../test/fixtures/deferred-calls.ts";
import { createCircuitBreaker } from "./circuit-breaker.ts";
import { CircuitOpenError } from "./circuit-open-error.ts";
import type { CircuitBreakerOptions } from "./circuit-options.ts";
import { FakeClock } from "./testing/index.ts";
import { isUnprocessed } from "./unprocessed.ts";

const unavailable = new ConnectError("down", Code.Unavailable);
const canceled = new ConnectError("enough", Code.Canceled);
const key = "http://test";

/** A breaker, with calls behind it that end as the test says. */
function setUp(options: CircuitBreakerOptions = {}) {
  const clock = new FakeClock();
  const breaker = createCircuitBreaker({ clock, ...options });
  const { calls, run, at } = deferredCalls(breaker.interceptor);
  const changes: string[] = [];
  breaker.onStateChange(({ from, to }) => changes.push(`${from} > ${to}`));

  /** Begins `count` calls; how many got through. */
  function begin(count = 1, endpoint = key): number {
    const before = calls.length;
    for (let index = 0; index < count; index++) run(unaryRequest({ endpoint })).catch(() => {});
    return calls.length - before;
  }
  async function succeed(count = 1): Promise<void> {
    for (let index = 0; index < count; index++) {
      if (begin() === 1) at(-1).succeed();
      await settle();
    }
  }
  async function fail(count = 1, reason: unknown = unavailable): Promise<void> {
    for (let index = 0; index < count; index++) {
      if (begin() === 1) at(-1).fail(reason);
      await settle();
    }
  }
  return { clock, breaker, calls, run, at, changes, begin, succeed, fail };
}

/** As `setUp`, with the circuit open, and the time for a probe there. */
async function setUpForProbes(options: CircuitBreakerOptions = {}) {
  const circuit = setUp({ failureThreshold: 1, openMs: 100, ...options });
  await circuit.fail();
  await circuit.clock.advance(100);
  return circuit;
}

describe("createCircuitBreaker", () => {
  it("opens after 5 failures in a row, lets probes in after 10 s, closes after 2 that succeed", async () => {
    const { breaker, clock, changes, begin, succeed, fail } = setUp();
    await fail(4);
    await succeed();
    await fail(4);
    expect(breaker.state(key)).toBe("closed");
    await fail();
    expect([breaker.state(key), begin()]).toEqual(["open", 0]);
    await clock.advance(9_999);
    expect(begin()).toBe(0);
    await clock.advance(1);
    await succeed();
    expect(breaker.snapshot(key)).toMatchObject({ state: "half-open", successes: 1, probes: 0, rejected: 2 });
    await succeed();
    expect(breaker.state(key)).toBe("closed");
    expect(changes).toEqual(["closed > open", "open > half-open", "half-open > closed"]);
  });

  it("rejects with unavailable, a retry delay, and the proof that the call did not run; names no key", async () => {
    const { run, clock, fail } = setUp({ openMs: 2_000 });
    await fail(5);
    await clock.advance(500);
    const reason: unknown = await run(unaryRequest()).catch((error: unknown) => error);
    const error = ConnectError.from(reason);
    expect([error.code, isUnprocessed(error)]).toEqual([Code.Unavailable, true]);
    expect(error.message).not.toContain(key);
    expect(error.metadata.get("retry-after")).toBe("2");
    expect(error.cause).toEqual(new CircuitOpenError(key, "open", 1_500));
    expect(error.cause).toMatchObject({ key, state: "open", retryAfterMs: 1_500 });
  });

  it("1,000 concurrent calls while closed: all pass; when they fail it opens once", async () => {
    const { begin, calls, changes } = setUp();
    expect(begin(1_000)).toBe(1_000);
    for (const call of calls) call.fail(unavailable);
    await settle();
    expect(changes).toEqual(["closed > open"]);
    expect(begin(1_000)).toBe(0);
  });

  it.each([1, 3])("1,000 concurrent calls when the time is there: exactly permittedProbes = %d pass", async (count) => {
    const { begin, at, calls, changes } = await setUpForProbes({ permittedProbes: count, successThreshold: 4 });
    expect(begin(1_000)).toBe(count);
    at(-1).succeed();
    await settle();
    expect(begin(1_000)).toBe(1);
    at(-1).fail(unavailable);
    await settle();
    expect(begin(1_000)).toBe(0);
    expect(calls).toHaveLength(1 + count + 1);
    expect(changes).toEqual(["closed > open", "open > half-open", "half-open > open"]);
  });

  it("1,000 concurrent calls when it closes: all pass", async () => {
    const { begin, at, succeed } = await setUpForProbes();
    await succeed();
    expect(begin(1_000)).toBe(1);
    at(-1).succeed();
    await settle();
    expect(begin(1_000)).toBe(1_000);
  });

  it("a late result from before the break does not count: not while open, half-open or closed again", async () => {
    const { breaker, clock, begin, at, succeed, fail, changes } = setUp({ failureThreshold: 1, openMs: 100 });
    begin(4);
    await fail();
    at(0).succeed();
    at(1).fail(unavailable);
    await settle();
    expect(breaker.snapshot(key)).toMatchObject({ state: "open", openForMs: 100 });
    await clock.advance(100);
    await succeed();
    at(2).fail(unavailable);
    await settle();
    expect(breaker.snapshot(key)).toMatchObject({ state: "half-open", successes: 1 });
    await succeed();
    at(3).fail(unavailable);
    await settle();
    expect(breaker.state(key)).toBe("closed");
    expect(changes).toEqual(["closed > open", "open > half-open", "half-open > closed"]);
  });

  it("a probe whose caller disappears frees its place, and says nothing", async () => {
    const { breaker, run, at, begin } = await setUpForProbes();
    const controller = new AbortController();
    const probe = run(unaryRequest({ signal: controller.signal }));
    expect(begin(10)).toBe(0);
    controller.abort(canceled);
    at(-1).fail(new Error("socket closed"));
    await expect(probe).rejects.toThrow("socket closed");
    expect(breaker.snapshot(key)).toMatchObject({ state: "half-open", successes: 0, probes: 0 });
    expect(begin(10)).toBe(1);
  });

  it("a probe that never ends is given up after probeMaxAgeMs, and its end does not count any more", async () => {
    const { breaker, clock, begin, at } = await setUpForProbes({ probeMaxAgeMs: 1_000 });
    expect(begin(10)).toBe(1);
    const lost = at(-1);
    await clock.advance(999);
    expect(begin(10)).toBe(0);
    await clock.advance(1);
    expect(begin(10)).toBe(1);
    lost.fail(unavailable);
    await settle();
    expect(breaker.snapshot(key)).toMatchObject({ state: "half-open", probes: 1 });
  });

  it("a call that ran out of its own time is a failure, one that its caller cancelled is none", async () => {
    const { breaker, run, at } = setUp({ failureThreshold: 1 });
    for (const reason of [canceled, new ConnectError("late", Code.DeadlineExceeded)]) {
      expect(breaker.state(key)).toBe("closed");
      const controller = new AbortController();
      const call = run(unaryRequest({ signal: controller.signal }));
      controller.abort(reason);
      at(-1).fail(reason);
      await expect(call).rejects.toBe(reason);
    }
    expect(breaker.state(key)).toBe("open");
  });

  it.each([
    { code: Code.Unavailable, state: "open" },
    { code: Code.DeadlineExceeded, state: "open" },
    { code: Code.Internal, state: "open" },
    { code: Code.Unknown, state: "open" },
    { code: Code.DataLoss, state: "open" },
    { code: Code.ResourceExhausted, state: "half-open" },
    { code: Code.Canceled, state: "half-open" },
    { code: Code.NotFound, state: "closed" },
    { code: Code.InvalidArgument, state: "closed" },
    { code: Code.AlreadyExists, state: "closed" },
    { code: Code.PermissionDenied, state: "closed" },
    { code: Code.Unauthenticated, state: "closed" },
    { code: Code.FailedPrecondition, state: "closed" },
    { code: Code.Aborted, state: "closed" },
    { code: Code.OutOfRange, state: "closed" },
    { code: Code.Unimplemented, state: "closed" },
  ])("an error with code $code makes a half-open circuit $state", async ({ code, state }) => {
    const { breaker, fail } = await setUpForProbes({ successThreshold: 1 });
    await fail(1, new ConnectError("no", code));
    expect(breaker.state(key)).toBe(state);
  });

  it("classify decides instead; what it throws leaves the decision to the default", async () => {
    const { breaker, fail } = setUp({
      failureThreshold: 2,
      classify: ({ code }, { url }) => {
        if (code === Code.Unavailable) throw new Error(`cannot tell ${url}`);
        return code === Code.NotFound ? "failure" : "ignored";
      },
    });
    await fail(1, new ConnectError("none", Code.NotFound));
    await fail(1, new ConnectError("oops", Code.Internal));
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", failures: 1 });
    await fail();
    expect(breaker.state(key)).toBe("open");
  });

  it("stays open longer each time by openFactor, up to openMaxMs, until it was closed", async () => {
    const { breaker, clock, fail, succeed } = setUp({
      failureThreshold: 1,
      openMs: 100,
      openFactor: 3,
      openMaxMs: 500,
    });
    const times: number[] = [];
    for (let round = 0; round < 4; round++) {
      await fail();
      const { openForMs } = breaker.snapshot(key);
      times.push(openForMs);
      await clock.advance(openForMs);
    }
    await succeed(2);
    await fail();
    expect([...times, breaker.snapshot(key).openForMs]).toEqual([100, 300, 500, 500, 100]);
  });

  it("a stream counts once, when it ends", async () => {
    const { breaker, run, at } = setUp({ failureThreshold: 1 });
    const failing = (async function* () {
      yield create(StringValueSchema);
      throw unavailable;
    })();
    const open = createCircuitBreaker({ failureThreshold: 1 });
    const response = await open.interceptor(async () => streamResponse(failing))(streamRequest());
    if (!response.stream) throw new Error("not a stream");
    const reader = response.message[Symbol.asyncIterator]();
    await reader.next();
    expect(open.state(key)).toBe("closed");
    await expect(reader.next()).rejects.toBe(unavailable);
    expect(open.state(key)).toBe("open");

    const refused = run(streamRequest());
    at(-1).fail(unavailable);
    await expect(refused).rejects.toBe(unavailable);
    expect(breaker.state(key)).toBe("open");
  });

  /** A half-open circuit with a stream as its probe, of which `messages` are to be read. */
  async function streamProbe(messages: number) {
    const clock = new FakeClock();
    const breaker = createCircuitBreaker({ failureThreshold: 1, openMs: 100, successThreshold: 1, clock });
    const failed = breaker.interceptor(() => Promise.reject(unavailable))(unaryRequest());
    await expect(failed).rejects.toBe(unavailable);
    await clock.advance(100);
    const controller = new AbortController();
    const source = (async function* () {
      for (let index = 0; index < messages; index++) yield create(StringValueSchema);
    })();
    const response = await breaker.interceptor(async () => streamResponse(source))(
      streamRequest({ signal: controller.signal }),
    );
    if (!response.stream) throw new Error("not a stream");
    return { breaker, clock, controller, reader: response.message[Symbol.asyncIterator]() };
  }

  it("a stream has succeeded as a probe with its first message, or its end", async () => {
    for (const messages of [0, 1]) {
      const { breaker, reader } = await streamProbe(messages);
      expect(breaker.snapshot(key)).toMatchObject({ state: "half-open", probes: 1 });
      await reader.next();
      expect(breaker.state(key)).toBe("closed");
    }
  });

  it("abort before the first read, between two reads, and a reader who leaves: the probe is not stuck", async () => {
    const aborted = await streamProbe(2);
    aborted.controller.abort(canceled);
    expect(aborted.breaker.snapshot(key)).toMatchObject({ state: "half-open", probes: 0, successes: 0 });
    const left = await streamProbe(2);
    await left.reader.return?.();
    expect(left.breaker.snapshot(key)).toMatchObject({ state: "half-open", probes: 0, successes: 0 });
    const between = await streamProbe(2);
    await between.reader.next();
    between.controller.abort(canceled);
    expect(between.breaker.snapshot(key)).toMatchObject({ state: "closed", failures: 0 });
  });

  it("opens by failure rate over the latest windowCalls, from minimumCalls on", async () => {
    const { breaker, fail, succeed } = setUp({ failureRate: 0.5, windowCalls: 4, minimumCalls: 3 });
    await fail(2);
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", window: { calls: 2, failures: 2 } });
    await succeed();
    expect(breaker.state(key)).toBe("open");
  });

  it("what has left the window does not count; after closing the window is empty", async () => {
    const { breaker, clock, fail, succeed } = setUp({ failureRate: 0.5, windowCalls: 4, minimumCalls: 4 });
    await fail(1);
    await succeed(4);
    await fail(1);
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", window: { calls: 4, failures: 1 } });
    await fail(1);
    expect(breaker.state(key)).toBe("open");
    await clock.advance(10_000);
    await succeed(2);
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", window: { calls: 0, failures: 0 } });
  });

  it("opens by failure rate over the last windowMs", async () => {
    const { breaker, clock, fail, succeed } = setUp({ failureRate: 0.5, windowMs: 1_000, minimumCalls: 2 });
    await fail();
    await clock.advance(1_000);
    await succeed();
    await clock.advance(1);
    await succeed();
    await fail();
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", window: { calls: 3, failures: 1 } });
    await fail();
    expect(breaker.state(key)).toBe("open");
  });

  it("a rate turns failures in a row off, unless both are asked for", async () => {
    const byRate = setUp({ failureRate: 1 });
    await byRate.fail(19);
    expect(byRate.breaker.state(key)).toBe("closed");
    await byRate.fail();
    expect(byRate.breaker.state(key)).toBe("open");
    const byBoth = setUp({ failureRate: 1, failureThreshold: 2 });
    await byBoth.fail(2);
    expect(byBoth.breaker.state(key)).toBe("open");
  });

  it("opens by slow call rate, and takes a slow probe for a failed one", async () => {
    const { breaker, clock, begin, at } = setUp({ slowCallRate: 0.5, slowCallMs: 50, minimumCalls: 2, openMs: 100 });
    const take = async (ms: number) => {
      begin();
      await clock.advance(ms);
      at(-1).succeed();
      await settle();
    };
    await take(49);
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", window: { calls: 1, slowCalls: 0 } });
    await take(50);
    expect(breaker.state(key)).toBe("open");
    await clock.advance(100);
    await take(50);
    expect(breaker.state(key)).toBe("open");
    await clock.advance(100);
    await take(49);
    await take(49);
    expect(breaker.state(key)).toBe("closed");
  });

  it("a stream is not slow, however long it lasts", async () => {
    const { breaker, clock, run, at } = setUp({ slowCallRate: 0.1, slowCallMs: 50, minimumCalls: 1 });
    const stream = run(streamRequest());
    await clock.advance(1_000);
    at(-1).succeed();
    await stream;
    expect(breaker.snapshot(key)).toMatchObject({ state: "closed", window: { calls: 1, slowCalls: 0 } });
  });

  it("reads no clock for calls that succeed while closed, unless a rate is configured", async () => {
    let reads = 0;
    const count = () => {
      reads += 1;
      return 0;
    };
    const clock = { now: count, monotonic: count, sleep: async () => {} };
    const { begin, at } = setUp({ clock });
    begin(2);
    at(0).succeed();
    at(1).succeed();
    await settle();
    expect(reads).toBe(0);
  });

  it("has one circuit per key, and forgets closed ones first when there are more than maxKeys", async () => {
    const { breaker, begin, at } = setUp({ failureThreshold: 1, maxKeys: 2 });
    begin(1, "http://broken");
    at(-1).fail(unavailable);
    await settle();
    for (let index = 0; index < 10; index++) {
      expect(begin(1, `http://${index}`)).toBe(1);
      at(-1).succeed();
      await settle();
    }
    expect(breaker.snapshots().map(({ key, state }) => [key, state])).toEqual([
      ["http://broken", "open"],
      ["http://9", "closed"],
    ]);
    expect(breaker.state("http://0")).toBe("closed");
  });

  it("forgets, among closed circuits with a window, one in whose window nothing failed", async () => {
    const { breaker, begin, at } = setUp({ failureRate: 1, maxKeys: 2 });
    begin(1, "http://weak");
    at(-1).fail(unavailable);
    begin(1, "http://good");
    at(-1).succeed();
    await settle();
    begin(1, "http://new");
    expect(breaker.snapshots().map(({ key }) => key)).toEqual(["http://weak", "http://new"]);
  });

  it("a snapshot of a key that nobody has called is that of a closed circuit, and makes none", () => {
    const { breaker } = setUp({ failureRate: 1 });
    expect(breaker.snapshot(key)).toEqual({
      key,
      state: "closed",
      failures: 0,
      successes: 0,
      probes: 0,
      openForMs: 0,
      rejected: 0,
      window: { calls: 0, failures: 0, slowCalls: 0 },
    });
    expect(breaker.snapshots()).toEqual([]);
  });

  it("a key that cannot be told fails the call and nothing else", async () => {
    const { breaker, calls, run } = setUp({
      key: () => {
        throw unavailable;
      },
    });
    await expect(run(unaryRequest())).rejects.toBe(unavailable);
    expect([calls, breaker.snapshots()]).toEqual([[], []]);
  });
});

describe("a circuit in the hands of its operator", () => {
  it("forceOpen rejects all, forceClosed lets all in, reset closes; ends of calls from before do not count", async () => {
    const { breaker, begin, at, fail, changes } = setUp({ failureThreshold: 1, openMs: 70 });
    begin();
    breaker.forceOpen(key);
    expect([breaker.state(key), begin(5)]).toEqual(["forced-open", 0]);
    breaker.forceClosed(key);
    await fail(5);
    expect([breaker.state(key), begin(5)]).toEqual(["forced-closed", 5]);
    breaker.reset(key);
    at(0).fail(unavailable);
    at(-1).fail(unavailable);
    await settle();
    expect(breaker.state(key)).toBe("closed");
    expect(changes).toEqual(["closed > forced-open", "forced-open > forced-closed", "forced-closed > closed"]);
  });

  it("reset forgets what a closed circuit has seen, calls under way included", async () => {
    const { breaker, begin, at, fail } = setUp({ failureRate: 1, failureThreshold: 3, minimumCalls: 10 });
    await fail(2);
    begin();
    breaker.reset(key);
    expect(breaker.snapshot(key)).toMatchObject({ failures: 0, window: { calls: 0, failures: 0 } });
    at(-1).fail(unavailable);
    await settle();
    expect(breaker.snapshot(key)).toMatchObject({ failures: 0, window: { calls: 0, failures: 0 } });
  });

  it("without a key: every key, those to come too, until reset", async () => {
    const { breaker, begin } = setUp();
    begin(1, "http://a");
    breaker.forceOpen();
    expect([begin(1, "http://a"), begin(1, "http://b"), breaker.state("http://c")]).toEqual([0, 0, "forced-open"]);
    breaker.reset("http://b");
    expect([begin(1, "http://a"), begin(1, "http://b")]).toEqual([0, 1]);
    breaker.reset();
    expect([begin(1, "http://a"), begin(1, "http://b"), breaker.state("http://c")]).toEqual([1, 1, "closed"]);
  });

  it("a forced key stays forced when its circuit was forgotten", async () => {
    const { breaker, begin } = setUp({ maxKeys: 1 });
    breaker.forceOpen("http://a");
    begin(1, "http://b");
    expect([breaker.snapshots().map(({ key }) => key), breaker.state("http://a")]).toEqual([
      ["http://b"],
      "forced-open",
    ]);
    expect(begin(1, "http://a")).toBe(0);
    expect(() => breaker.forceOpen("http://c")).toThrow(
      new RangeError("no more than maxKeys (1) circuits can be forced by key"),
    );
    breaker.forceClosed("http://a");
    expect(begin(1, "http://a")).toBe(1);
  });

  it("a listener that throws or changes the circuit again does no harm; one that left is not told", async () => {
    const { breaker, begin, fail, changes } = setUp({ failureThreshold: 1 });
    breaker.onStateChange(() => {
      throw new Error("a listener that fails");
    });
    breaker.onStateChange(({ to }) => {
      if (to === "open") breaker.reset(key);
    });
    const seen: string[] = [];
    const leave = breaker.onStateChange(({ to }) => seen.push(to));
    await fail();
    expect([breaker.state(key), begin()]).toEqual(["closed", 1]);
    leave();
    await fail();
    expect(seen).toEqual(["open", "closed"]);
    expect(changes).toEqual(["closed > open", "open > closed", "closed > open", "open > closed"]);
  });

  it("a probe whose admission a listener undoes does not count", async () => {
    const { breaker, begin, at } = await setUpForProbes({ successThreshold: 1 });
    const leave = breaker.onStateChange(({ to }) => {
      if (to === "half-open") breaker.forceOpen(key);
    });
    expect(begin()).toBe(1);
    leave();
    at(-1).succeed();
    await settle();
    expect(breaker.state(key)).toBe("forced-open");
  });
});
