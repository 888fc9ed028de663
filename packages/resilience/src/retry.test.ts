import { getEventListeners } from "node:events";
import { Code, ConnectError, type UnaryRequest } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { deferredCalls, settle, unaryRequest, unaryResponse } from "../test/fixtures/deferred-calls.ts";
import { EchoService } from "../test/fixtures/echo-service.ts";
import { AttemptTimeoutError } from "./attempt-timeout-error.ts";
import { retry } from "./retry.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { retryLater } from "./retry-delay.ts";
import type { RetryEvent, RetryOptions } from "./retry-options.ts";
import { FakeClock } from "./testing/index.ts";
import { markUnprocessed } from "./unprocessed.ts";

const down = new ConnectError("down", Code.Unavailable);
const set: UnaryRequest = {
  ...unaryRequest(),
  method: EchoService.method.set,
  url: `http://test/${EchoService.typeName}/Set`,
};

/** Retry without jitter, with attempts behind it that end as the test says. */
function setUp(options: RetryOptions = {}) {
  const clock = new FakeClock();
  const events: RetryEvent[] = [];
  const onRetry = (event: RetryEvent) => events.push(event);
  const { calls, run, at } = deferredCalls(retry({ clock, backoff: { jitter: "none" }, onRetry, ...options }));
  return { clock, events, calls, run, at };
}

/** A call whose every attempt fails with `reason` at once. How often it was tried, and after how many ms. */
async function failing(options: RetryOptions, reason: unknown, request = unaryRequest(), tookMs = 0) {
  const clock = new FakeClock();
  const startsMs: number[] = [];
  const run = retry({ clock, backoff: { jitter: "none" }, ...options })(async () => {
    startsMs.push(clock.monotonic());
    if (tookMs > 0) await clock.sleep(tookMs);
    throw reason;
  });
  const call = run(request).then(
    () => undefined,
    (error: unknown) => error,
  );
  await clock.advance(1_000_000);
  return { startsMs, error: await call, pending: clock.pending };
}

describe("retry", () => {
  it("hands on the response of the first attempt, and the request, as they are", async () => {
    const { run, at, calls, clock } = setUp();
    const request = unaryRequest();
    const call = run(request);
    expect(at(0).request).toBe(request);
    at(0).succeed();
    await expect(call).resolves.toMatchObject({ stream: false });
    expect([calls.length, clock.pending, getEventListeners(request.signal, "abort")]).toEqual([1, 0, []]);
  });

  it("tries 3 times in all, after 100 and 200 ms, and fails with the last error itself", async () => {
    const { run, at, calls, clock } = setUp();
    const errors = [1, 2, 3].map((number) => new ConnectError(`${number}`, Code.Unavailable));
    const call = run(unaryRequest());
    const starts = [clock.monotonic()];
    at(0).fail(errors[0]);
    await clock.advance(99);
    expect(calls.length).toBe(1);
    await clock.advance(1);
    starts.push(clock.monotonic());
    at(1).fail(errors[1]);
    await clock.advance(200);
    starts.push(clock.monotonic());
    at(2).fail(errors[2]);
    await expect(call).rejects.toBe(errors[2]);
    expect([starts, calls.length, clock.pending]).toEqual([[0, 100, 300], 3, 0]);
  });

  it("hands on the response of a later attempt", async () => {
    const { run, at, clock } = setUp();
    const call = run(unaryRequest());
    at(0).fail(down);
    await clock.advance(100);
    at(1).succeed();
    await expect(call).resolves.toMatchObject({ stream: false });
    expect(clock.pending).toBe(0);
  });

  it("tells the server the number of attempts before, from the second on, without touching the request", async () => {
    const { run, at, clock } = setUp();
    const request = unaryRequest();
    request.header.set("authorization", "secret");
    run(request).catch(() => {});
    at(0).fail(down);
    await clock.advance(100);
    at(1).fail(down);
    await clock.advance(200);
    expect(at(1).request).toMatchObject({ method: request.method, message: request.message, signal: request.signal });
    expect([0, 1, 2].map((index) => at(index).request.header.get("grpc-previous-rpc-attempts"))).toEqual([
      null,
      "1",
      "2",
    ]);
    expect(at(2).request.header.get("authorization")).toBe("secret");
    expect(request.header.has("grpc-previous-rpc-attempts")).toBe(false);
  });

  it.each([
    { title: "idempotent, unavailable", request: unaryRequest(), error: down, attempts: 3 },
    { title: "not idempotent, unavailable", request: set, error: down, attempts: 1 },
    {
      title: "idempotent, another code",
      request: unaryRequest(),
      error: new ConnectError("", Code.Internal),
      attempts: 1,
    },
    { title: "idempotent, no ConnectError", request: unaryRequest(), error: new Error("bug"), attempts: 1 },
    {
      title: "idempotent, lost as connect-node tells it",
      request: unaryRequest(),
      error: new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled),
      attempts: 3,
    },
    {
      title: "not idempotent, but did not run",
      request: set,
      error: markUnprocessed(new ConnectError("full", Code.ResourceExhausted)),
      attempts: 3,
    },
    {
      title: "not idempotent, connection refused",
      request: set,
      error: Object.assign(new Error("refused"), { code: "ECONNREFUSED", syscall: "connect" }),
      attempts: 3,
    },
  ])("$title: $attempts attempts", async ({ request, error, attempts }) => {
    const result = await failing({}, error, request);
    expect([result.startsMs.length, result.error, result.pending]).toEqual([attempts, error, 0]);
  });

  it.each<{ title: string; retryIf: RetryOptions["retryIf"]; request: UnaryRequest; code: Code; attempts: number }>([
    { title: "yes", retryIf: () => true, request: set, code: Code.NotFound, attempts: 3 },
    { title: "no", retryIf: () => false, request: unaryRequest(), code: Code.Unavailable, attempts: 1 },
    { title: "nothing", retryIf: () => undefined, request: unaryRequest(), code: Code.Unavailable, attempts: 3 },
    {
      title: "nothing, by throwing",
      retryIf: () => {
        throw new Error("oops");
      },
      request: unaryRequest(),
      code: Code.Unavailable,
      attempts: 3,
    },
    {
      title: "what depends on error and request",
      retryIf: (error, { method }) => error.code === Code.Aborted && method.name === "Set",
      request: set,
      code: Code.Aborted,
      attempts: 3,
    },
  ])("the user says $title: $attempts attempts", async ({ retryIf, request, code, attempts }) => {
    const { startsMs } = await failing({ retryIf }, new ConnectError("", code), request);
    expect(startsMs.length).toBe(attempts);
  });

  it.each<{ options: RetryOptions; error?: ConnectError; startsMs: number[] }>([
    { options: { maxAttempts: 1 }, startsMs: [0] },
    { options: { maxAttempts: 5 }, startsMs: [0, 100, 300, 700, 1_500] },
    { options: { backoff: { jitter: "none", initialMs: 10, factor: 10, maxMs: 50 } }, startsMs: [0, 10, 60] },
    { options: { backoff: {}, random: () => 0.5 }, startsMs: [0, 50, 150] },
    { options: { backoff: { jitter: "equal" }, random: () => 0.5 }, startsMs: [0, 75, 225] },
    { options: { backoff: { jitter: "decorrelated" }, random: () => 0.5 }, startsMs: [0, 200, 550] },
    { options: { codes: [Code.Internal] }, startsMs: [0] },
    { options: { codes: [Code.Internal] }, error: new ConnectError("", Code.Internal), startsMs: [0, 100, 300] },
    { options: { codes: [] }, startsMs: [0] },
    { options: { overallTimeoutMs: 300 }, startsMs: [0, 100] },
    { options: { overallTimeoutMs: 301 }, startsMs: [0, 100, 300] },
    { options: { overallTimeoutMs: 100 }, startsMs: [0] },
    { options: { budget: createRetryBudget({ maxTokens: 3 }) }, startsMs: [0, 100] },
    { options: { budget: createRetryBudget({ maxTokens: 1 }) }, startsMs: [0] },
    { options: { budget: false }, startsMs: [0, 100, 300] },
    { options: {}, error: retryLater("", Code.Unavailable, 7), startsMs: [0, 7, 14] },
    { options: {}, error: retryLater("", Code.Unavailable, 0), startsMs: [0, 0, 0] },
    { options: {}, error: retryLater("", Code.Unavailable, Infinity), startsMs: [0] },
    { options: {}, error: retryLater("", Code.Unavailable, 60_000), startsMs: [0, 60_000, 120_000] },
    { options: {}, error: retryLater("", Code.Unavailable, 60_001), startsMs: [0] },
    { options: { maxPushbackMs: 6 }, error: retryLater("", Code.Unavailable, 7), startsMs: [0] },
    { options: { overallTimeoutMs: 10 }, error: retryLater("", Code.Unavailable, 7), startsMs: [0, 7] },
    { options: {}, error: retryLater("", Code.InvalidArgument, 7), startsMs: [0] },
  ])("attempts with $options begin at $startsMs", async ({ options, error = down, startsMs }) => {
    expect(await failing(options, error)).toEqual({ startsMs, error, pending: 0 });
  });

  it("goes back to the first delay after one that the server chose", async () => {
    const { run, at, events, clock } = setUp({ maxAttempts: 5 });
    run(unaryRequest()).catch(() => {});
    for (const error of [down, down, retryLater("", Code.Unavailable, 5), down]) {
      at(-1).fail(error);
      await clock.advance(1_000);
    }
    expect(events.map(({ delayMs }) => delayMs)).toEqual([100, 200, 5, 100]);
  });

  it("an explicit undefined is the default, in every option", async () => {
    const all = { maxAttempts: undefined, perAttemptTimeoutMs: undefined, overallTimeoutMs: undefined };
    const rest = { codes: undefined, retryIf: undefined, maxPushbackMs: undefined, budget: undefined };
    const { startsMs } = await failing({ ...all, ...rest, onRetry: undefined, random: undefined }, down);
    expect(startsMs).toEqual([0, 100, 300]);
  });

  it("gives up at once when the wait would last beyond the time-out of the call", async () => {
    const request = unaryRequest();
    request.header.set("connect-timeout-ms", "250");
    expect(await failing({}, down, request)).toEqual({ startsMs: [0, 100], error: down, pending: 0 });
  });

  it("tells later attempts how much of the call's time-out is left", async () => {
    const { run, at, clock } = setUp();
    const request = unaryRequest();
    request.header.set("connect-timeout-ms", "1000");
    run(request).catch(() => {});
    at(0).fail(down);
    await clock.advance(100);
    expect(at(1).request.header.get("connect-timeout-ms")).toBe("900");
    expect(request.header.get("connect-timeout-ms")).toBe("1000");
  });

  it("fails at once with the signal's reason when the caller aborts during backoff, and leaves nothing", async () => {
    for (const [reason, code] of [
      [new ConnectError("time is up", Code.DeadlineExceeded), Code.DeadlineExceeded],
      [new Error("enough"), Code.Canceled],
    ] as const) {
      const { run, at, calls, clock } = setUp();
      const controller = new AbortController();
      const call = run(unaryRequest({ signal: controller.signal }));
      at(0).fail(down);
      await clock.waitForSleep();
      controller.abort(reason);
      await expect(call).rejects.toMatchObject({
        code,
        rawMessage: reason instanceof ConnectError ? "time is up" : "enough",
      });
      await clock.advance(1_000);
      expect([calls.length, clock.pending]).toEqual([1, 0]);
      expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    }
  });

  it("does not try again, nor asks the user or the budget, when the caller aborted during an attempt", async () => {
    const budget = createRetryBudget();
    const asked: unknown[] = [];
    const { run, at, calls, clock } = setUp({ budget, retryIf: (error) => asked.push(error) > 0 });
    const controller = new AbortController();
    const call = run(unaryRequest({ signal: controller.signal }));
    controller.abort(new ConnectError("enough", Code.Canceled));
    at(0).fail(down);
    await expect(call).rejects.toBe(down);
    expect([calls.length, clock.pending, asked, budget.snapshots()]).toEqual([1, 0, [], []]);
  });

  it("treats what throws instead of rejecting as a failed attempt", async () => {
    const clock = new FakeClock();
    let attempts = 0;
    const run = retry({ clock })(() => {
      attempts += 1;
      if (attempts < 3) throw down;
      return Promise.resolve(unaryResponse());
    });
    const call = run(unaryRequest());
    await clock.advance(1_000);
    await expect(call).resolves.toMatchObject({ stream: false });
    expect(attempts).toBe(3);
  });
});

describe("onRetry", () => {
  it("is told before each wait which attempt failed, with what, and how long it waits", async () => {
    const { run, at, events, clock } = setUp();
    const request = unaryRequest();
    run(request).catch(() => {});
    at(0).fail(down);
    await settle();
    const { method, url } = request;
    expect(events).toEqual([{ attempt: 1, error: down, delayMs: 100, method, url }]);
    await clock.advance(100);
    at(1).fail(down);
    await clock.advance(200);
    at(2).fail(down);
    await settle();
    expect(events.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
      [1, 100],
      [2, 200],
    ]);
  });

  it.each([
    {
      title: "throws",
      onRetry: () => {
        throw new Error("oops");
      },
    },
    { title: "rejects", onRetry: () => Promise.reject(new Error("later")) },
  ])("does no harm when it $title", async ({ onRetry }) => {
    const { startsMs } = await failing({ onRetry }, down);
    expect(startsMs).toEqual([0, 100, 300]);
  });
});

describe("perAttemptTimeoutMs", () => {
  it("cuts an attempt short, whether or not it listens, and tries again", async () => {
    const { run, at, events, clock } = setUp({ perAttemptTimeoutMs: 50 });
    const request = unaryRequest();
    const call = run(request);
    await clock.advance(50);
    expect(at(0).request.signal.aborted).toBe(true);
    expect(at(0).request.signal.reason).toMatchObject({ code: Code.DeadlineExceeded });
    expect(events).toMatchObject([{ attempt: 1, error: { code: Code.DeadlineExceeded } }]);
    await clock.advance(100);
    at(0).fail(new Error("too late"));
    at(1).succeed();
    await expect(call).resolves.toMatchObject({ stream: false });
    expect([clock.pending, getEventListeners(request.signal, "abort")]).toEqual([0, []]);
  });

  it("fails as deadline_exceeded when the last attempt is too slow, and says why", async () => {
    const { error, startsMs, pending } = await failing({ perAttemptTimeoutMs: 50 }, down, unaryRequest(), 60);
    expect(error).toMatchObject({ code: Code.DeadlineExceeded, rawMessage: "no answer within 50 ms" });
    expect(error).toMatchObject({ cause: { timeoutMs: 50 } });
    expect((error as ConnectError).cause).toBeInstanceOf(AttemptTimeoutError);
    expect([startsMs, pending]).toEqual([[0, 150, 400], 0]);
  });

  it("is no reason to repeat what is not idempotent", async () => {
    const { startsMs } = await failing({ perAttemptTimeoutMs: 50 }, down, set, 60);
    expect(startsMs).toEqual([0]);
  });

  it("is told to the server, unless the call has less time", async () => {
    const { run, at, clock } = setUp({ perAttemptTimeoutMs: 50 });
    const request = unaryRequest();
    request.header.set("connect-timeout-ms", "180");
    run(request).catch(() => {});
    await clock.advance(150);
    expect([0, 1].map((index) => at(index).request.header.get("connect-timeout-ms"))).toEqual(["50", "30"]);
  });

  it("passes on the caller's abort, with its reason, and leaves nothing", async () => {
    const { run, at, calls, clock } = setUp({ perAttemptTimeoutMs: 50 });
    const controller = new AbortController();
    const reason = new ConnectError("enough", Code.Canceled);
    const call = run(unaryRequest({ signal: controller.signal }));
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect([at(0).request.signal.reason, calls.length, clock.pending]).toEqual([reason, 1, 0]);
  });

  it("makes canceled of an abort for a reason that is no ConnectError", async () => {
    const { run } = setUp({ perAttemptTimeoutMs: 50 });
    const controller = new AbortController();
    const call = run(unaryRequest({ signal: controller.signal }));
    controller.abort(new Error("enough"));
    await expect(call).rejects.toMatchObject({ code: Code.Canceled, rawMessage: "enough" });
  });

  it("begins no timer for a call that is aborted already", async () => {
    const { run, at, clock } = setUp({ perAttemptTimeoutMs: 50 });
    const reason = new ConnectError("enough", Code.Canceled);
    await expect(run(unaryRequest({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect([at(0).request.signal.reason, clock.pending]).toEqual([reason, 0]);
  });
});

describe("overallTimeoutMs", () => {
  it("ends the attempt that is under way, which is the last", async () => {
    const { run, calls, clock } = setUp({ overallTimeoutMs: 80 });
    const call = run(unaryRequest());
    const failed = expect(call).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
      rawMessage: "no answer within 80 ms",
    });
    await clock.advance(80);
    await failed;
    expect([calls.length, clock.pending]).toEqual([1, 0]);
  });

  it("leaves to an attempt what is left", async () => {
    const { startsMs, error } = await failing(
      { overallTimeoutMs: 250, perAttemptTimeoutMs: 100 },
      down,
      unaryRequest(),
      1_000,
    );
    expect(startsMs).toEqual([0, 200]);
    expect(error).toMatchObject({ rawMessage: "no answer within 250 ms" });
  });

  it("begins no attempt when its timer is late", async () => {
    const clock = new FakeClock();
    const late = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: async (ms: number) => {
        if (ms === 100) await clock.sleep(400);
        else await new Promise(() => {});
      },
    };
    const { startsMs, error } = await (async () => {
      const startsMs: number[] = [];
      const call = retry({ clock: late, backoff: { jitter: "none" }, overallTimeoutMs: 300 })(async () => {
        startsMs.push(clock.monotonic());
        throw down;
      })(unaryRequest()).catch((error: unknown) => error);
      await clock.advance(1_000);
      return { startsMs, error: await call };
    })();
    expect([startsMs, error]).toEqual([[0], down]);
  });
});

describe("budget", () => {
  it("earns from every call that succeeds, and from no other", async () => {
    const budget = createRetryBudget({ maxTokens: 10 });
    const { run, at, clock } = setUp({ budget });
    const end = async (how: (index: number) => void) => {
      run(unaryRequest()).catch(() => {});
      how(-1);
      await settle();
    };
    await end(() => at(-1).fail(down));
    await clock.advance(100);
    at(-1).succeed();
    await settle();
    expect(budget.snapshot("http://test").tokens).toBe(9.1);
    await end(() => at(-1).succeed());
    await end(() => at(-1).fail(new ConnectError("", Code.NotFound)));
    expect(budget.snapshot("http://test").tokens).toBe(9.2);
    await end(() => at(-1).fail(retryLater("", Code.NotFound, Infinity)));
    expect(budget.snapshot("http://test").tokens).toBe(8.2);
  });

  it("is spent by all who share it, also by calls that are not tried again", async () => {
    const budget = createRetryBudget({ maxTokens: 6 });
    const one = await failing({ budget, maxAttempts: 1 }, down);
    const two = await failing({ budget }, down, set);
    const three = await failing({ budget }, down);
    expect([one, two, three].map(({ startsMs }) => startsMs.length)).toEqual([1, 1, 1]);
    expect(budget.snapshot("http://test")).toEqual({ key: "http://test", tokens: 3, canRetry: false });
  });
});
