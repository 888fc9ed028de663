import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createContextValues,
  type StreamRequest,
  type StreamResponse,
  type UnaryResponse,
} from "@connectrpc/connect";
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  ConsecutiveBreaker,
  ConstantBackoff,
  circuitBreaker,
  fallback,
  HydratingCircuitError,
  handleAll,
  IsolatedCircuitError,
  noop,
  retry,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  deferredCalls,
  settle,
  streamRequest,
  streamResponse,
  unaryRequest,
  unaryResponse,
} from "../test/fixtures/deferred-calls.ts";
import { EchoService } from "../test/fixtures/echo-service.ts";
import { type CallPolicy, policyInterceptor } from "./policy-interceptor.ts";
import { requestSourceKey } from "./retry-source.ts";
import { FakeClock } from "./testing/index.ts";
import { isUnprocessed } from "./unprocessed.ts";

const unavailable = new ConnectError("down", Code.Unavailable);
const canceled = new ConnectError("enough", Code.Canceled);

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

const retrying = (maxAttempts: number) => retry(handleAll, { maxAttempts, backoff: new ConstantBackoff(10) });

/** Timers of cockatiel. */
const later = async (ms: number) => {
  await settle();
  await vi.advanceTimersByTimeAsync(ms);
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("policyInterceptor with policies of cockatiel", () => {
  it("retry: runs the call again, with its number and the time that is left", async () => {
    const clock = new FakeClock();
    const { calls, run, at } = deferredCalls(policyInterceptor(retrying(2), { clock }));
    const request = { ...unaryRequest(), header: new Headers({ "connect-timeout-ms": "1000" }) };
    const call = run(request);
    await settle();
    await clock.advance(300);
    at(0).fail(unavailable);
    await later(10);
    at(1).fail(unavailable);
    await later(10);
    at(2).succeed();
    expect(await call).toMatchObject({ stream: false });
    expect(calls.map(({ request: { header } }) => Object.fromEntries(header))).toEqual([
      { "connect-timeout-ms": "1000" },
      { "connect-timeout-ms": "700", "grpc-previous-rpc-attempts": "1" },
      { "connect-timeout-ms": "700", "grpc-previous-rpc-attempts": "2" },
    ]);
    expect(at(0).request).toBe(request);
  });

  it("retry: the last error is that of the call, unchanged", async () => {
    const run = policyInterceptor(retrying(1))(() => Promise.reject(unavailable));
    const failed = errorOf(run(unaryRequest()));
    await later(10);
    expect(await failed).toBe(unavailable);
  });

  it("circuit breaker: an open circuit is unavailable, and proof that nothing ran if nothing did", async () => {
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(2) });
    const { calls, run, at } = deferredCalls(policyInterceptor(breaker));
    for (const index of [0, 1]) {
      const failed = errorOf(run(unaryRequest()));
      await settle();
      at(index).fail(unavailable);
      expect(await failed).toBe(unavailable);
    }
    const error = await errorOf(run(unaryRequest()));
    expect([error.code, isUnprocessed(error), calls.length]).toEqual([Code.Unavailable, true, 2]);
    expect(error.cause).toBeInstanceOf(BrokenCircuitError);

    const isolated = circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(2) });
    isolated.isolate();
    const refused = await errorOf(policyInterceptor(isolated)(async () => unaryResponse())(unaryRequest()));
    expect([refused.code, refused.cause]).toEqual([Code.Unavailable, new IsolatedCircuitError()]);
  });

  it("circuit breaker inside of retry: no proof that nothing ran, since the first attempt did", async () => {
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(1) });
    const run = policyInterceptor(wrap(retrying(1), breaker))(() => Promise.reject(unavailable));
    const failed = errorOf(run(unaryRequest()));
    await later(10);
    const error = await failed;
    expect([error.code, isUnprocessed(error)]).toEqual([Code.Unavailable, false]);
    expect(error.cause).toBeInstanceOf(BrokenCircuitError);
  });

  it.each([TimeoutStrategy.Cooperative, TimeoutStrategy.Aggressive])(
    "timeout, %s: deadline_exceeded",
    async (strategy) => {
      const run = policyInterceptor(timeout(50, strategy))(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(ConnectError.from(signal.reason, Code.Canceled)));
          }),
      );
      const request = unaryRequest();
      const failed = errorOf(run(request));
      await later(50);
      expect((await failed).code).toBe(Code.DeadlineExceeded);
      expect(getEventListeners(request.signal, "abort")).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it.each([TimeoutStrategy.Cooperative, TimeoutStrategy.Aggressive])(
    "timeout, %s: a call in time leaves nothing behind",
    async (strategy) => {
      const contexts: (AbortSignal | undefined)[] = [];
      const limited = timeout(50, strategy);
      const policy: CallPolicy = {
        execute: (run, signal) =>
          limited.execute((context) => {
            contexts.push(context.signal);
            return run(context);
          }, signal),
      };
      const { run, at } = deferredCalls(policyInterceptor(policy));
      const request = unaryRequest();
      const call = run(request);
      await settle();
      expect(at(0).request.header).toBe(request.header);
      at(0).succeed();
      expect(await call).toMatchObject({ stream: false });
      const listeners = [request.signal, ...contexts].map((signal) =>
        getEventListeners(signal as AbortSignal, "abort"),
      );
      expect([listeners, vi.getTimerCount()]).toEqual([[[], []], 0]);
    },
  );

  it("timeout, aggressive: a call that does not listen is left, and its late error causes nothing", async () => {
    const { run, at } = deferredCalls(policyInterceptor(timeout(50, TimeoutStrategy.Aggressive)));
    const failed = errorOf(run(unaryRequest()));
    await later(50);
    const error = await failed;
    expect([error.code, error.cause]).toEqual([
      Code.DeadlineExceeded,
      new TaskCancelledError("Operation timed out after 50ms"),
    ]);
    expect(ConnectError.from(at(0).request.signal.reason).code).toBe(Code.DeadlineExceeded);
    at(0).fail(unavailable);
    await settle();
  });

  it("bulkhead: what is too much is resource_exhausted; who waits in its queue and is aborted fails at once", async () => {
    const { calls, run, at } = deferredCalls(policyInterceptor(bulkhead(1, 1)));
    const controller = new AbortController();
    const first = run(unaryRequest());
    const waiting = errorOf(run(unaryRequest({ signal: controller.signal })));
    const error = await errorOf(run(unaryRequest()));
    expect([error.code, isUnprocessed(error)]).toEqual([Code.ResourceExhausted, true]);
    expect(error.cause).toBeInstanceOf(BulkheadRejectedError);
    controller.abort(canceled);
    expect(await waiting).toBe(canceled);
    at(0).succeed();
    await first;
    await settle();
    expect(calls).toHaveLength(1);
  });

  it("fallback: a response of yours is the response; something else is an error", async () => {
    const response = unaryResponse();
    const run = policyInterceptor(fallback(handleAll, response))(() => Promise.reject(unavailable));
    expect(await run(unaryRequest())).toBe(response);
    const broken = policyInterceptor(fallback(handleAll, "nothing"))(() => Promise.reject(unavailable));
    expect((await errorOf(broken(unaryRequest()))).code).toBe(Code.Internal);
  });

  it("an abort while retry sleeps fails the call at once, and ends the retries", async () => {
    const { calls, run, at } = deferredCalls(policyInterceptor(retrying(5)));
    const controller = new AbortController();
    const failed = errorOf(run(unaryRequest({ signal: controller.signal })));
    await settle();
    at(0).fail(unavailable);
    await settle();
    controller.abort(canceled);
    expect(await failed).toBe(canceled);
    await later(10_000);
    expect([calls.length, getEventListeners(controller.signal, "abort")]).toEqual([1, []]);
    expect(await errorOf(run(unaryRequest({ signal: controller.signal })))).toBe(canceled);
  });

  it("a policy that does nothing passes the call on as it is", async () => {
    const { run, at } = deferredCalls(policyInterceptor(noop));
    const request = unaryRequest();
    const call = run(request);
    expect(at(0).request).toBe(request);
    at(0).succeed();
    expect(await call).toMatchObject({ stream: false });
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
  });
});

describe("policyInterceptor with other policies", () => {
  it("refuses what has no execute", () => {
    for (const policy of [undefined, null, {}, { execute: true }]) {
      expect(() => policyInterceptor(policy as never)).toThrow(new TypeError("policy must have a function execute"));
    }
  });

  it("takes one that gives no context, and one that throws at once", async () => {
    const bare: CallPolicy = { execute: (run) => run({}) };
    expect(await policyInterceptor(bare)(async () => unaryResponse())(unaryRequest())).toMatchObject({ stream: false });
    const broken: CallPolicy = {
      execute() {
        throw new Error("broken");
      },
    };
    const error = await errorOf(policyInterceptor(broken)(async () => unaryResponse())(unaryRequest()));
    expect([error.code, error.cause]).toEqual([Code.Unknown, new Error("broken")]);
  });

  it("does not ask it about a call that is aborted already", async () => {
    const execute = vi.fn();
    const run = policyInterceptor({ execute })(async () => unaryResponse());
    expect(await errorOf(run(unaryRequest({ signal: AbortSignal.abort(canceled) })))).toBe(canceled);
    expect(execute).not.toHaveBeenCalled();
  });

  it.each([
    { title: "nothing", reason: undefined, code: Code.DeadlineExceeded },
    { title: "a ConnectError", reason: unavailable, code: Code.Unavailable },
  ])("a run whose signal the policy has aborted, with $title, is aborted with $code", async ({ reason, code }) => {
    const signal = AbortSignal.abort(reason);
    const { run, at } = deferredCalls(policyInterceptor({ execute: (call) => call({ signal }) }));
    void run(unaryRequest());
    expect(ConnectError.from(at(0).request.signal.reason).code).toBe(code);
  });

  it("an abort of the caller reaches a run with its reason, though the policy passes it on without", async () => {
    const own = new AbortController();
    const policy: CallPolicy = {
      execute(run, signal) {
        signal?.addEventListener("abort", () => own.abort());
        return run({ signal: own.signal });
      },
    };
    const { run, at } = deferredCalls(policyInterceptor(policy));
    const controller = new AbortController();
    const failed = errorOf(run(unaryRequest({ signal: controller.signal })));
    controller.abort(canceled);
    expect([await failed, at(0).request.signal.reason]).toEqual([canceled, canceled]);
    expect(getEventListeners(own.signal, "abort")).toEqual([]);
  });

  it.each([null, "text", {}, { stream: false }, { message: {} }, { stream: true, message: {} }])(
    "refuses %j as the response of a unary call",
    async (result) => {
      const run = policyInterceptor({ execute: async () => result })(async () => unaryResponse());
      expect((await errorOf(run(unaryRequest()))).code).toBe(Code.Internal);
    },
  );

  it("does not let it run a call that is over, nor makes an unhandled rejection of what it ignores", async () => {
    let again: (() => Promise<unknown>) | undefined;
    const policy: CallPolicy = {
      async execute(run) {
        void run({});
        again = () => run({});
        return unaryResponse();
      },
    };
    let count = 0;
    const run = policyInterceptor(policy)(async () => {
      count += 1;
      throw unavailable;
    });
    await run(unaryRequest());
    expect((await errorOf(again?.() ?? Promise.resolve())).code).toBe(Code.Canceled);
    expect(count).toBe(1);
  });

  it.each([
    { mark: new BrokenCircuitError(), code: Code.Unavailable },
    { mark: new HydratingCircuitError(), code: Code.Unavailable },
    { mark: new BulkheadRejectedError(1, 1), code: Code.ResourceExhausted },
    { mark: new TaskCancelledError(), code: Code.DeadlineExceeded },
    { mark: new Error("other"), code: Code.Unknown },
    { mark: "a string", code: Code.Unknown },
    { mark: null, code: Code.Unknown },
  ])("$mark: $code", async ({ mark, code }) => {
    const run = policyInterceptor({ execute: () => Promise.reject(mark) })(async () => unaryResponse());
    expect((await errorOf(run(unaryRequest()))).code).toBe(code);
  });
});

describe("policyInterceptor with streams", () => {
  const words = async function* (...values: string[]): AsyncGenerator<StringValue> {
    for (const value of values) yield create(StringValueSchema, { value });
  };
  const failing = async function* (reason: unknown): AsyncGenerator<StringValue> {
    yield* [];
    throw reason;
  };
  const requestOf = (name: "list" | "upload" | "chat", message = words("question")): StreamRequest => ({
    ...streamRequest(),
    method: EchoService.method[name],
    message,
  });

  async function read(response: UnaryResponse | StreamResponse): Promise<string[]> {
    return readAll((response as StreamResponse).message as AsyncIterable<StringValue>);
  }

  async function readAll(messages: AsyncIterable<StringValue>): Promise<string[]> {
    const values: string[] = [];
    for await (const { value } of messages) values.push(value);
    return values;
  }

  /** A server that fails `failures` times with its first message, after it read the request. */
  function flaky(policy: CallPolicy, failures: number) {
    const seen: string[][] = [];
    const signals: AbortSignal[] = [];
    const run = policyInterceptor(policy)(async ({ message, signal }) => {
      signals.push(signal);
      seen.push(await readAll(message as AsyncIterable<StringValue>));
      return streamResponse(seen.length <= failures ? failing(unavailable) : words("a", "b"));
    });
    return { run, seen, signals };
  }

  it("retry: a server stream that fails before its first message is run again with the same request", async () => {
    const { run, seen } = flaky(retrying(2), 2);
    const call = run(requestOf("list"));
    await later(10);
    await later(10);
    expect(await read(await call)).toEqual(["a", "b"]);
    expect(seen).toEqual([["question"], ["question"], ["question"]]);
  });

  it("a request stream that was read is not run again; the error says why, with the code that it failed with", async () => {
    const { run, seen } = flaky(retrying(3), 9);
    const failed = errorOf(run(requestOf("upload")));
    for (let attempt = 0; attempt < 4; attempt++) await later(10);
    const error = await failed;
    expect([error.code, error.cause, seen.length]).toEqual([Code.Unavailable, unavailable, 1]);
    expect(error.rawMessage).toContain("requestSourceKey");
  });

  it("one that was not read is, and one that can be sent again", async () => {
    let runs = 0;
    const run = policyInterceptor(retrying(1))(async ({ message }) => {
      if (++runs === 1) throw unavailable;
      return streamResponse(message as AsyncIterable<StringValue>);
    });
    const call = run(requestOf("upload"));
    await later(10);
    expect(await read(await call)).toEqual(["question"]);

    const sourced = flaky(retrying(1), 1);
    const contextValues = createContextValues().set(requestSourceKey, () => words("once more"));
    const again = sourced.run({ ...requestOf("upload"), contextValues });
    await later(10);
    expect(await read(await again)).toEqual(["a", "b"]);
    expect(sourced.seen).toEqual([["question"], ["once more"]]);
  });

  it("a time limit covers the first message only, though the policy aborts its signal when it is done", async () => {
    const { run, signals } = flaky(timeout(50, TimeoutStrategy.Aggressive), 0);
    const request = requestOf("list");
    const response = await run(request);
    await later(100);
    expect([signals[0]?.aborted, vi.getTimerCount()]).toEqual([false, 0]);
    expect(await read(response)).toEqual(["a", "b"]);
    expect([signals[0]?.aborted, getEventListeners(request.signal, "abort")]).toEqual([true, []]);
  });

  it("a time limit ends a stream that does not answer, and its messages are for nobody", async () => {
    const signals: AbortSignal[] = [];
    const run = policyInterceptor(timeout(50, TimeoutStrategy.Aggressive))(async ({ signal }) => {
      signals.push(signal);
      return streamResponse({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) });
    });
    const request = requestOf("list");
    const failed = errorOf(run(request));
    await later(50);
    expect((await failed).code).toBe(Code.DeadlineExceeded);
    expect(ConnectError.from(signals[0]?.reason).code).toBe(Code.DeadlineExceeded);
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
  });

  it("a stream that has not answered when the policy gives up is cancelled, and its late answer is for nobody", async () => {
    const { promise, resolve } = Promise.withResolvers<StreamResponse>();
    const signals: AbortSignal[] = [];
    const policy: CallPolicy = {
      async execute(run) {
        run({}).catch(() => {});
        throw unavailable;
      },
    };
    const run = policyInterceptor(policy)(({ signal }) => {
      signals.push(signal);
      return promise;
    });
    expect(await errorOf(run(requestOf("list")))).toBe(unavailable);
    expect(signals[0]?.aborted).toBe(true);
    resolve(streamResponse(words("late")));
    await settle();
  });

  it("a request stream that a run closed without reading it is not sent again either", async () => {
    let runs = 0;
    const run = policyInterceptor(retrying(2))(async ({ message }) => {
      runs += 1;
      await (message as AsyncIterable<StringValue>)[Symbol.asyncIterator]().return?.();
      throw unavailable;
    });
    const failed = errorOf(run(requestOf("upload")));
    for (let attempt = 0; attempt < 3; attempt++) await later(10);
    expect([(await failed).cause, runs]).toEqual([unavailable, 1]);
  });

  it("a bidirectional stream is handed over with its headers, as its messages may wait for each other", async () => {
    const run = policyInterceptor(retrying(3))(async () => streamResponse(failing(unavailable)));
    const response = await run(requestOf("chat"));
    await expect(read(response)).rejects.toBe(unavailable);
  });

  it("an abort after the first message reaches the stream", async () => {
    const { run, signals } = flaky(noop, 0);
    const controller = new AbortController();
    await run({ ...requestOf("list"), signal: controller.signal });
    expect(signals[0]?.aborted).toBe(false);
    controller.abort(canceled);
    expect(signals[0]?.reason).toBe(canceled);
  });

  it("of several streams that answer, those that the policy does not return are cancelled", async () => {
    const both: CallPolicy = {
      async execute(run) {
        const [first] = await Promise.all([run({}), run({})]);
        return first;
      },
    };
    const { run, signals } = flaky(both, 0);
    const response = await run(requestOf("list"));
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(await read(response)).toEqual(["a", "b"]);
  });
});
