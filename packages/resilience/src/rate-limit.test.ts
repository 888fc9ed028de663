import { getEventListeners } from "node:events";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deferredCalls, settle, streamRequest, unaryRequest, unaryResponse } from "../test/fixtures/deferred-calls.ts";
import { byMethod, byTrustedHeader } from "./caller-key.ts";
import { peerKey } from "./peer.ts";
import { createRateLimit, type RateLimitEvent } from "./rate-limit.ts";
import { RateLimitError } from "./rate-limit-error.ts";
import { readRetryDelay } from "./retry-delay.ts";
import { FakeClock } from "./testing/index.ts";
import { isUnprocessed } from "./unprocessed.ts";
import { verifiedIdentityKey } from "./verified-identity.ts";

const canceled = new ConnectError("enough", Code.Canceled);

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** A call that came from an address, perhaps of an identity. */
function requestOf(address: string, id?: string) {
  const contextValues = createContextValues().set(peerKey, { network: "tcp", address, port: 1, tls: undefined });
  if (id !== undefined) contextValues.set(verifiedIdentityKey, { id, source: "test" });
  return { ...unaryRequest(), contextValues };
}

describe("createRateLimit", () => {
  it("lets a burst begin at once, then calls at the rate, and rejects the rest without running them", async () => {
    const clock = new FakeClock();
    const limit = createRateLimit({ limit: 2, intervalMs: 1_000, burst: 3, clock });
    const { calls, run } = deferredCalls(limit.interceptor);
    for (let call = 0; call < 3; call++) void run(unaryRequest());
    const error = await errorOf(run(unaryRequest()));
    expect([error.code, error.rawMessage, isUnprocessed(error)]).toEqual([
      Code.ResourceExhausted,
      "too many calls",
      true,
    ]);
    expect(readRetryDelay(error)).toEqual({ kind: "after", ms: 500 });
    expect(error.cause).toEqual(new RateLimitError("peer unknown", 500));
    await clock.advance(499);
    await errorOf(run(streamRequest()));
    expect(calls).toHaveLength(3);
    await clock.advance(1);
    void run(streamRequest());
    expect(calls).toHaveLength(4);
    expect(limit.snapshot("peer unknown")).toEqual({ key: "peer unknown", tokens: 0, waiting: 0 });
    await clock.advance(750);
    expect(limit.snapshot("peer unknown").tokens).toBe(1.5);
  });

  it("limits each identity for itself, and each address of those without one", async () => {
    const limit = createRateLimit({ limit: 1, clock: new FakeClock() });
    const { calls, run } = deferredCalls(limit.interceptor);
    const requests = [
      requestOf("10.0.0.1"),
      requestOf("10.0.0.2"),
      requestOf("10.0.0.1", "a"),
      requestOf("10.0.0.1", "b"),
    ];
    for (const request of requests) void run(request);
    expect([calls.length, limit.size]).toEqual([4, 4]);
    const errors = await Promise.all(requests.map((request) => errorOf(run(request))));
    expect(errors.map(({ code }) => code)).toEqual(requests.map(() => Code.ResourceExhausted));
  });

  it("limits by any key: a method, a header that is trusted", async () => {
    const limit = createRateLimit({ limit: 1, key: byMethod, clock: new FakeClock() });
    const { calls, run } = deferredCalls(limit.interceptor);
    for (const request of [unaryRequest(), streamRequest()]) void run(request);
    await errorOf(run(unaryRequest()));
    expect(calls).toHaveLength(2);

    const byTenant = createRateLimit({ limit: 1, key: byTrustedHeader("x-tenant"), clock: new FakeClock() });
    const tenants = deferredCalls(byTenant.interceptor);
    for (const tenant of ["a", "b"])
      void tenants.run({ ...unaryRequest(), header: new Headers({ "x-tenant": tenant }) });
    expect(tenants.calls).toHaveLength(2);
  });

  it("shares one more limit among all keys above maxKeys", async () => {
    const limit = createRateLimit({ limit: 1, maxKeys: 1, clock: new FakeClock() });
    const { run } = deferredCalls(limit.interceptor);
    for (const address of ["10.0.0.1", "10.0.0.2"]) void run(requestOf(address));
    const error = await errorOf(run(requestOf("10.0.0.3")));
    expect([error.code, limit.size]).toEqual([Code.ResourceExhausted, 1]);
  });

  it("a key that throws fails the call, not the process", async () => {
    const broken = new Error("broken");
    const key = () => {
      throw broken;
    };
    const { run, calls } = deferredCalls(createRateLimit({ limit: 1, key }).interceptor);
    await expect(run(unaryRequest())).rejects.toBe(broken);
    expect(calls).toEqual([]);
  });

  it("1,000 concurrent calls: exactly the burst begins", async () => {
    const limit = createRateLimit({ limit: 7, burst: 13, clock: new FakeClock() });
    const run = limit.interceptor(async () => unaryResponse());
    const ends = await Promise.allSettled(Array.from({ length: 1_000 }, () => run(unaryRequest())));
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(13);
  });

  it("tells who listens of what it rejects and what waits", async () => {
    const limit = createRateLimit({ limit: 1, maxWaitMs: 1_000, clock: new FakeClock() });
    const events: RateLimitEvent[] = [];
    limit.onEvent((event) => events.push(event));
    const { run } = deferredCalls(limit.interceptor);
    for (let call = 0; call < 2; call++) void run(unaryRequest());
    await errorOf(run(unaryRequest()));
    expect(events).toEqual([
      { key: "peer unknown", kind: "queued", waitMs: 1_000 },
      { key: "peer unknown", kind: "rejected", waitMs: 2_000 },
    ]);
  });
});

describe("createRateLimit with maxWaitMs", () => {
  const waiting = (clock: FakeClock, options: object = {}) => {
    const limit = createRateLimit({ limit: 10, burst: 1, maxWaitMs: 500, clock, ...options });
    return { limit, ...deferredCalls(limit.interceptor) };
  };
  const urls = (calls: readonly { readonly request: { readonly url: string } }[]) =>
    calls.map(({ request }) => request.url.split("/")[0]);

  it("calls wait for their turn in the order in which they came, at the rate, and nobody overtakes", async () => {
    const clock = new FakeClock();
    const { calls, run } = waiting(clock);
    for (const endpoint of ["a", "b", "c"]) void run(unaryRequest({ endpoint }));
    expect([urls(calls), clock.pending]).toEqual([["a"], 1]);
    await clock.advance(100);
    expect(urls(calls)).toEqual(["a", "b"]);
    await clock.advance(99);
    void run(unaryRequest({ endpoint: "d" }));
    await clock.advance(1);
    expect(urls(calls)).toEqual(["a", "b", "c"]);
    await clock.advance(100);
    expect([urls(calls), clock.pending]).toEqual([["a", "b", "c", "d"], 0]);
  });

  it("a token that is there belongs to who waits, even if its timer is late", async () => {
    const late = new FakeClock();
    let nowMs = 0;
    const clock = { now: () => 0, monotonic: () => nowMs, sleep: late.sleep.bind(late) };
    const limit = createRateLimit({ limit: 10, burst: 2, maxWaitMs: 500, clock });
    const { calls, run } = deferredCalls(limit.interceptor);
    for (const endpoint of ["a", "b", "c"]) void run(unaryRequest({ endpoint }));
    nowMs = 150;
    const waits: number[] = [];
    limit.onEvent(({ waitMs }) => waits.push(waitMs));
    void run(unaryRequest({ endpoint: "d" }));
    expect(waits).toEqual([100]);
    expect(urls(calls)).toEqual(["a", "b"]);
    await late.advance(100);
    expect(urls(calls)).toEqual(["a", "b", "c"]);
    nowMs = 200;
    await late.advance(100);
    expect(urls(calls)).toEqual(["a", "b", "c", "d"]);
  });

  it("rejects at once what would wait too long, or beyond its own time-out, or finds the queue full", async () => {
    const clock = new FakeClock();
    const { run, limit } = waiting(clock, { maxQueue: 4 });
    for (let call = 0; call < 2; call++) void run(unaryRequest());
    const timed = { ...unaryRequest(), header: new Headers({ "connect-timeout-ms": "200" }) };
    const tooLate = await errorOf(run(timed));
    expect([tooLate.code, readRetryDelay(tooLate)]).toEqual([Code.ResourceExhausted, { kind: "after", ms: 200 }]);
    const inTime = { ...unaryRequest(), header: new Headers({ "connect-timeout-ms": "201" }) };
    void run(inTime);
    for (let call = 0; call < 2; call++) void run(unaryRequest());
    expect(limit.snapshot("peer unknown").waiting).toBe(4);
    expect((await errorOf(run(unaryRequest()))).code).toBe(Code.ResourceExhausted);

    const other = waiting(clock, { maxWaitMs: 150 });
    for (let call = 0; call < 2; call++) void other.run(unaryRequest());
    expect((await errorOf(other.run(unaryRequest()))).code).toBe(Code.ResourceExhausted);
    expect(other.limit.snapshot("peer unknown").waiting).toBe(1);
  });

  it("abort while waiting: it fails at once with its reason, the next in line takes its turn, nothing is left", async () => {
    const clock = new FakeClock();
    const { calls, run, limit } = waiting(clock);
    const controller = new AbortController();
    const { signal } = controller;
    void run(unaryRequest({ endpoint: "a" }));
    const leaving = run(unaryRequest({ endpoint: "b", signal }));
    void run(unaryRequest({ endpoint: "c" }));
    controller.abort(canceled);
    expect(await errorOf(leaving)).toBe(canceled);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await clock.advance(100);
    expect([urls(calls), clock.pending, limit.snapshot("peer unknown").waiting]).toEqual([["a", "c"], 0, 0]);
  });

  it("abort of the only waiter ends the timer; the next one gets its turn from a new one", async () => {
    const clock = new FakeClock();
    const { calls, run } = waiting(clock);
    const controller = new AbortController();
    const { signal } = controller;
    void run(unaryRequest({ endpoint: "a" }));
    const gone = new AbortController();
    const first = errorOf(run(unaryRequest({ signal: gone.signal })));
    gone.abort(canceled);
    await first;
    expect(clock.pending).toBe(0);
    const leaving = errorOf(run(unaryRequest({ signal })));
    controller.abort(canceled);
    const next = run(unaryRequest({ endpoint: "b" }));
    await leaving;
    await settle();
    expect(clock.pending).toBe(1);
    await clock.advance(100);
    expect([urls(calls), clock.pending]).toEqual([["a", "b"], 0]);
    calls.at(-1)?.succeed();
    await next;
    expect(await errorOf(run(unaryRequest({ signal })))).toBe(canceled);
    expect(clock.pending).toBe(0);
  });

  it("leaves no listener on the signal of a call that had its turn", async () => {
    const clock = new FakeClock();
    const { run } = waiting(clock);
    const { signal } = new AbortController();
    for (let call = 0; call < 2; call++) void run(unaryRequest({ signal }));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await clock.advance(100);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("law: whoever comes and leaves, calls begin in order, none too early, and none waits for ever", async () => {
    const anySteps = fc.array(fc.oneof(fc.constant("call"), fc.constant("abort"), fc.integer({ min: 1, max: 250 })), {
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(anySteps, async (steps) => {
        const clock = new FakeClock();
        const limit = createRateLimit({ limit: 10, burst: 2, maxWaitMs: 1e6, clock });
        const begun: { id: number; atMs: number }[] = [];
        const run = limit.interceptor(async ({ url }) => {
          begun.push({ id: Number(url.split("/")[0]), atMs: clock.monotonic() });
          return unaryResponse();
        });
        const calls: AbortController[] = [];
        const ends: Promise<unknown>[] = [];
        for (const step of steps) {
          if (step === "call") {
            const controller = new AbortController();
            ends.push(run(unaryRequest({ endpoint: `${calls.length}`, signal: controller.signal })).catch(() => {}));
            calls.push(controller);
          } else if (step === "abort") {
            calls[Math.floor(calls.length / 2)]?.abort(canceled);
          } else {
            await clock.advance(step);
          }
        }
        await clock.advance(100 * steps.length);
        await Promise.all(ends);
        expect(clock.pending).toBe(0);
        expect(begun.map(({ id }) => id)).toEqual(begun.map(({ id }) => id).toSorted((a, b) => a - b));
        for (const [from, first] of begun.entries()) {
          for (const [offset, last] of begun.slice(from).entries()) {
            expect(offset + 1).toBeLessThanOrEqual(2 + (last.atMs - first.atMs) / 100 + 1e-6);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
