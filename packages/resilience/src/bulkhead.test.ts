import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  deferredCalls,
  settle,
  streamRequest,
  streamResponse,
  unaryRequest,
  unaryResponse,
} from "../test/fixtures/deferred-calls.ts";
import { type BulkheadEvent, createBulkhead } from "./bulkhead.ts";
import { BulkheadFullError } from "./bulkhead-full-error.ts";
import type { BulkheadOptions } from "./bulkhead-options.ts";
import { FakeClock } from "./testing/index.ts";
import { isUnprocessed } from "./unprocessed.ts";

const unavailable = new ConnectError("down", Code.Unavailable);
const canceled = new ConnectError("enough", Code.Canceled);

/** The error with which a call fails. */
async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

describe("createBulkhead", () => {
  it("lets maxConcurrent calls run, maxQueue wait, and rejects the rest without running them", async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 2, maxQueue: 1, clock: new FakeClock() });
    const { calls, run, at } = deferredCalls(bulkhead.interceptor);
    const inside = [run(unaryRequest()), run(unaryRequest()), run(unaryRequest())];
    const error = await errorOf(run(unaryRequest()));
    expect([error.code, isUnprocessed(error)]).toEqual([Code.ResourceExhausted, true]);
    expect(error.cause).toEqual(new BulkheadFullError("", "full"));
    expect([calls.length, bulkhead.snapshot()]).toEqual([2, { key: "", running: 2, waiting: 1 }]);
    at(0).succeed();
    await settle();
    expect([calls.length, bulkhead.snapshot()]).toEqual([3, { key: "", running: 2, waiting: 0 }]);
    at(1).fail(unavailable);
    at(2).succeed();
    const ends = await Promise.allSettled(inside);
    expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect([bulkhead.snapshot(), bulkhead.snapshots()]).toEqual([{ key: "", running: 0, waiting: 0 }, []]);
  });

  it("hands a slot to who has waited longest, even before a call that comes at that moment", async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 5, clock: new FakeClock() });
    const { calls, run, at } = deferredCalls(bulkhead.interceptor);
    const names = ["first", "second", "third"];
    const pending = names.map((name) => run(unaryRequest({ endpoint: name })));
    at(0).succeed();
    await pending[0];
    pending.push(run(unaryRequest({ endpoint: "late" })));
    for (let index = 1; index < 4; index++) {
      await settle();
      at(index).succeed();
    }
    await Promise.all(pending);
    expect(calls.map(({ request }) => request.url.split("/")[0])).toEqual([...names, "late"]);
  });

  it("1,000 concurrent calls: exactly maxConcurrent run at any time, the queue drains in order, none is lost", async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 7, maxQueue: 500, clock: new FakeClock() });
    let running = 0;
    let most = 0;
    const order: string[] = [];
    const run = bulkhead.interceptor(async (request) => {
      running += 1;
      most = Math.max(most, running);
      order.push(request.url);
      await settle();
      running -= 1;
      return unaryResponse();
    });
    const requests = Array.from({ length: 1_000 }, (_, index) => unaryRequest({ endpoint: `${index}` }));
    const ends = await Promise.allSettled(requests.map((request) => run(request)));
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(507);
    expect(order).toEqual(requests.slice(0, 507).map(({ url }) => url));
    expect([most, running]).toEqual([7, 0]);
    expect(bulkhead.snapshots()).toEqual([]);
  });

  it("an aborted waiter leaves the queue at once, with its reason, and leaves nothing behind", async () => {
    const clock = new FakeClock();
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 1, clock });
    const { calls, run, at } = deferredCalls(bulkhead.interceptor);
    const first = run(unaryRequest());
    const controller = new AbortController();
    const waiter = run(unaryRequest({ signal: controller.signal }));
    controller.abort(canceled);
    expect(bulkhead.snapshot()).toEqual({ key: "", running: 1, waiting: 0 });
    expect(await errorOf(waiter)).toBe(canceled);
    expect(isUnprocessed(canceled)).toBe(false);
    await settle();
    expect([clock.pending, getEventListeners(controller.signal, "abort")]).toEqual([0, []]);
    const second = run(unaryRequest());
    at(0).succeed();
    await first;
    await settle();
    expect(calls).toHaveLength(2);
    at(1).succeed();
    await second;
    expect(bulkhead.snapshots()).toEqual([]);
  });

  it("a call that is aborted already does not wait", async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 1, clock: new FakeClock() });
    const { run } = deferredCalls(bulkhead.interceptor);
    void run(unaryRequest());
    expect(await errorOf(run(unaryRequest({ signal: AbortSignal.abort(canceled) })))).toBe(canceled);
    expect(bulkhead.snapshot()).toEqual({ key: "", running: 1, waiting: 0 });
  });

  it("a waiter that got its slot has no timer and no listener any more, and keeps the slot when it is aborted", async () => {
    const clock = new FakeClock();
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 2, queueTimeoutMs: 50, clock });
    const { run, at } = deferredCalls(bulkhead.interceptor);
    const controller = new AbortController();
    const first = run(unaryRequest());
    const second = run(unaryRequest({ signal: controller.signal }));
    const third = run(unaryRequest());
    at(0).succeed();
    await first;
    controller.abort(canceled);
    await settle();
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    expect([clock.pending, bulkhead.snapshot()]).toEqual([1, { key: "", running: 1, waiting: 1 }]);
    at(1).fail(canceled);
    expect(await errorOf(second)).toBe(canceled);
    await settle();
    at(2).succeed();
    await third;
    expect([clock.pending, bulkhead.snapshots()]).toEqual([0, []]);
  });

  it("nobody waits longer than queueTimeoutMs; without one, as long as the call itself", async () => {
    const clock = new FakeClock();
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 1, queueTimeoutMs: 50, clock });
    const { calls, run } = deferredCalls(bulkhead.interceptor);
    void run(unaryRequest());
    const failed = errorOf(run(unaryRequest()));
    await clock.advance(49);
    expect(bulkhead.snapshot()).toEqual({ key: "", running: 1, waiting: 1 });
    await clock.advance(1);
    const error = await failed;
    expect([error.code, isUnprocessed(error)]).toEqual([Code.ResourceExhausted, true]);
    expect(error.cause).toEqual(new BulkheadFullError("", "timeout"));
    expect([calls.length, bulkhead.snapshot()]).toEqual([1, { key: "", running: 1, waiting: 0 }]);

    const patient = createBulkhead({ maxConcurrent: 1, maxQueue: 1, queueTimeoutMs: Infinity, clock });
    const { run: runPatient } = deferredCalls(patient.interceptor);
    void runPatient(unaryRequest());
    void runPatient(unaryRequest());
    expect([clock.pending, patient.snapshot()]).toEqual([0, { key: "", running: 1, waiting: 1 }]);
  });

  it.each<{ title: string; end: (controller: AbortController, reader: AsyncIterator<unknown>) => unknown }>([
    { title: "its end was read", end: (_, reader) => reader.next() },
    { title: "its reader left", end: (_, reader) => reader.return?.() },
    { title: "its signal aborted between two reads", end: (controller) => controller.abort(canceled) },
  ])("a stream holds its slot until $title", async ({ end }) => {
    const bulkhead = createBulkhead({ maxConcurrent: 1 });
    const run = bulkhead.interceptor(async () =>
      streamResponse(
        (async function* () {
          yield create(StringValueSchema);
        })(),
      ),
    );
    const controller = new AbortController();
    const response = await run(streamRequest({ signal: controller.signal }));
    if (!response.stream) throw new Error("not a stream");
    const reader = response.message[Symbol.asyncIterator]();
    await reader.next();
    expect(bulkhead.snapshot().running).toBe(1);
    await end(controller, reader);
    expect(bulkhead.snapshots()).toEqual([]);
  });

  it("a slot is not lost when next throws, nor when the key cannot be told", async () => {
    const bulkhead = createBulkhead({
      maxConcurrent: 1,
      key: ({ url }) => {
        if (url.startsWith("bad")) throw unavailable;
        return "good";
      },
    });
    const run = bulkhead.interceptor(() => {
      throw unavailable;
    });
    expect(await errorOf(run(unaryRequest()))).toBe(unavailable);
    expect(await errorOf(run(unaryRequest({ endpoint: "bad" })))).toBe(unavailable);
    expect(bulkhead.snapshots()).toEqual([]);
  });

  it("each key has limits of its own, and only maxKeys of them may be in use", async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, key: "endpoint", maxKeys: 2 });
    const { run, at } = deferredCalls(bulkhead.interceptor);
    const first = run(unaryRequest({ endpoint: "http://a" }));
    void run(unaryRequest({ endpoint: "http://b" }));
    expect(bulkhead.snapshots().map(({ key }) => key)).toEqual(["http://a", "http://b"]);
    const tooMany = await errorOf(run(unaryRequest({ endpoint: "http://c" })));
    expect(tooMany.cause).toEqual(new BulkheadFullError("http://c", "full"));
    at(0).succeed();
    await first;
    void run(unaryRequest({ endpoint: "http://c" }));
    expect(bulkhead.snapshots().map(({ key }) => key)).toEqual(["http://b", "http://c"]);
  });

  it("tells who waits and who is rejected, until the listener leaves", async () => {
    const clock = new FakeClock();
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 1, queueTimeoutMs: 50, clock });
    const { run } = deferredCalls(bulkhead.interceptor);
    const events: BulkheadEvent[] = [];
    bulkhead.onEvent(() => {
      throw new Error("a listener that fails");
    });
    const leave = bulkhead.onEvent((event) => events.push(event));
    void run(unaryRequest());
    const waits = errorOf(run(unaryRequest()));
    await errorOf(run(unaryRequest()));
    await clock.advance(50);
    await waits;
    leave();
    void run(unaryRequest());
    expect(events).toEqual([
      { key: "", kind: "queued", running: 1, waiting: 1 },
      { key: "", kind: "full", running: 1, waiting: 1 },
      { key: "", kind: "timeout", running: 1, waiting: 0 },
    ]);
  });

  it("an option that is undefined means its default", async () => {
    const options = { maxQueue: undefined, queueTimeoutMs: undefined, key: undefined, maxKeys: undefined };
    const bulkhead = createBulkhead({ maxConcurrent: 1, ...options, clock: undefined });
    const { run } = deferredCalls(bulkhead.interceptor);
    void run(unaryRequest({ endpoint: "http://a" }));
    const error = await errorOf(run(unaryRequest({ endpoint: "http://b" })));
    expect(error.cause).toEqual(new BulkheadFullError("", "full"));
  });

  it.each<{ bad: Partial<BulkheadOptions>; message: string }>([
    { bad: { maxConcurrent: 0 }, message: "maxConcurrent must be a whole number from 1, got 0" },
    { bad: { maxConcurrent: 1.5 }, message: "maxConcurrent must be a whole number from 1, got 1.5" },
    { bad: { maxConcurrent: Infinity }, message: "maxConcurrent must be a whole number from 1, got Infinity" },
    { bad: { maxQueue: -1 }, message: "maxQueue must be a whole number from 0, got -1" },
    { bad: { maxQueue: 0.5 }, message: "maxQueue must be a whole number from 0, got 0.5" },
    { bad: { queueTimeoutMs: 0 }, message: "queueTimeoutMs must be greater than 0, got 0" },
    { bad: { queueTimeoutMs: Number.NaN }, message: "queueTimeoutMs must be greater than 0, got NaN" },
    { bad: { maxKeys: 0 }, message: "maxKeys must be a whole number from 1, got 0" },
  ])("refuses $bad", ({ bad, message }) => {
    expect(() => createBulkhead({ maxConcurrent: 1, ...bad })).toThrow(new RangeError(message));
  });
});

describe("laws of the bulkhead and its queue", () => {
  it("never more than maxConcurrent run, the order is that of arrival, no slot and no call is lost", async () => {
    const anyStep = fc.record({
      kind: fc.constantFrom("call", "call", "call", "end", "end", "fail", "abort", "time"),
      pick: fc.nat(20),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.nat(3),
        fc.array(anyStep, { maxLength: 40 }),
        async (maxConcurrent, maxQueue, steps) => {
          const sleeps: { readonly dueMs: number; readonly wake: () => void }[] = [];
          let nowMs = 0;
          const clock = {
            now: () => nowMs,
            monotonic: () => nowMs,
            sleep: (ms: number, signal?: AbortSignal) =>
              new Promise<void>((resolve, reject) => {
                sleeps.push({ dueMs: nowMs + ms, wake: resolve });
                signal?.addEventListener("abort", () => reject(signal.reason));
              }),
          };
          const bulkhead = createBulkhead({ maxConcurrent, maxQueue, queueTimeoutMs: 10, clock });
          const { calls, run } = deferredCalls(bulkhead.interceptor);
          const controllers: AbortController[] = [];
          // The model: numbers of calls in flight, of calls that wait with their deadline, and what became of each.
          let running: number[] = [];
          let waiting: { readonly number: number; readonly dueMs: number }[] = [];
          const started: number[] = [];
          const expected: string[] = [];
          const actual: string[] = [];
          const start = (number: number) => {
            running.push(number);
            started.push(number);
          };
          const freeSlot = (number: number, end: string) => {
            running = running.filter((other) => other !== number);
            expected[number] = end;
            const [longest, ...others] = waiting;
            waiting = others;
            if (longest !== undefined) start(longest.number);
          };
          for (const { kind, pick } of steps) {
            if (kind === "call") {
              const number = controllers.length;
              const controller = new AbortController();
              controllers.push(controller);
              run(unaryRequest({ signal: controller.signal, endpoint: `${number}` })).then(
                () => {
                  actual[number] = "ok";
                },
                (reason: unknown) => {
                  actual[number] = ConnectError.from(reason).message;
                },
              );
              if (running.length < maxConcurrent) start(number);
              else if (waiting.length < maxQueue) waiting.push({ number, dueMs: nowMs + 10 });
              else expected[number] = "[resource_exhausted] too many calls at a time";
            } else if (kind === "end" || kind === "fail") {
              const number = running[pick % Math.max(1, running.length)];
              if (number === undefined) continue;
              const call = calls.find(({ request }) => request.url.startsWith(`${number}/`));
              if (kind === "end") call?.succeed();
              else call?.fail(unavailable);
              freeSlot(number, kind === "end" ? "ok" : "[unavailable] down");
            } else if (kind === "abort") {
              const number = pick % Math.max(1, controllers.length);
              controllers[number]?.abort(canceled);
              if (waiting.some((waiter) => waiter.number === number)) expected[number] = "[canceled] enough";
              waiting = waiting.filter((waiter) => waiter.number !== number);
            } else {
              nowMs += pick;
              for (const sleep of sleeps) if (sleep.dueMs <= nowMs) sleep.wake();
              for (const { number, dueMs } of waiting) {
                if (dueMs <= nowMs) {
                  expected[number] = "[resource_exhausted] no call ended in time to make room for this one";
                }
              }
              waiting = waiting.filter(({ dueMs }) => dueMs > nowMs);
            }
            for (let turn = 0; turn < 12; turn++) await Promise.resolve();
            expect(bulkhead.snapshot()).toEqual({ key: "", running: running.length, waiting: waiting.length });
            expect(running.length).toBeLessThanOrEqual(maxConcurrent);
            expect(calls.map(({ request }) => Number.parseInt(request.url, 10))).toEqual(started);
            expect(actual).toEqual(expected);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
