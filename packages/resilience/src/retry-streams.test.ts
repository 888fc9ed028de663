import { getEventListeners } from "node:events";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel, type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  createRouterTransport,
  type HandlerContext,
  type StreamRequest,
} from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { settle, streamRequest, streamResponse } from "../test/fixtures/deferred-calls.ts";
import { EchoService } from "../test/fixtures/echo-service.ts";
import { RepeatableService } from "../test/fixtures/repeatable-service.ts";
import { retry } from "./retry.ts";
import { createRetryBudget } from "./retry-budget.ts";
import type { RetryOptions } from "./retry-options.ts";
import { requestSourceKey } from "./retry-source.ts";
import { FakeClock } from "./testing/index.ts";
import { markUnprocessed } from "./unprocessed.ts";

type Text = MessageInitShape<typeof StringValueSchema>;

const down = () => new ConnectError("down", Code.Unavailable);
const text = (value: string): StringValue => create(StringValueSchema, { value });

/** As RepeatableService has it. */
const repeatableList = { ...EchoService.method.list, idempotency: MethodOptions_IdempotencyLevel.IDEMPOTENT };

/** A clock that does not wait, so that only the number of attempts matters. */
const noWait = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() };

interface Attempt {
  readonly number: number;
  readonly context: HandlerContext;
  readonly messages: AsyncIterable<StringValue>;
}

/** A client of a service whose streams all do what `handle` does; and the attempts that reached it. */
function serve(
  handle: (attempt: Attempt) => AsyncIterable<Text>,
  options: RetryOptions = {},
  service: typeof EchoService = RepeatableService,
) {
  const attempts: Attempt[] = [];
  const begin = (messages: AsyncIterable<StringValue>, context: HandlerContext) => {
    const attempt = { number: attempts.length + 1, context, messages };
    attempts.push(attempt);
    return handle(attempt);
  };
  const transport = createRouterTransport(
    (router) =>
      router.service(service, {
        list: (message, context) => begin(one(message), context),
        upload: async (messages, context) => {
          for await (const message of begin(messages, context)) return message;
          throw new ConnectError("no answer", Code.Internal);
        },
        chat: begin,
      }),
    { transport: { interceptors: [retry({ clock: noWait, ...options })] } },
  );
  return { client: createClient(service, transport), attempts };
}

async function* one<T>(message: T): AsyncGenerator<T> {
  yield message;
}

async function* many(...values: string[]): AsyncGenerator<Text> {
  for (const value of values) yield { value };
}

async function read(messages: AsyncIterable<StringValue>): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of messages) values.push(value);
  return values;
}

/** Fails twice before its first message, then sends all. */
async function* failTwice({ number, context, messages }: Attempt): AsyncGenerator<Text> {
  context.responseHeader.set("attempt", `${number}`);
  context.responseTrailer.set("attempt-at-end", `${number}`);
  const received = await read(messages);
  if (number < 3) throw down();
  for (const value of received) yield { value };
  yield { value: "end" };
}

describe("a server stream", () => {
  it("is tried again before its first message; reader, headers and trailers see the last attempt only", async () => {
    const { client, attempts } = serve(failTwice);
    const seen: (string | null)[] = [];
    const stream = client.list(
      { value: "hello" },
      {
        onHeader: (header) => seen.push(header.get("attempt")),
        onTrailer: (trailer) => seen.push(trailer.get("attempt-at-end")),
      },
    );
    expect(await read(stream)).toEqual(["hello", "end"]);
    expect(seen).toEqual(["3", "3"]);
    expect(attempts.map(({ context }) => context.requestHeader.get("grpc-previous-rpc-attempts"))).toEqual([
      null,
      "1",
      "2",
    ]);
  });

  it("is not tried again after its first message", async () => {
    const { client, attempts } = serve(async function* () {
      yield { value: "first" };
      throw down();
    });
    const values: string[] = [];
    const reading = (async () => {
      for await (const { value } of client.list({})) values.push(value);
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.Unavailable });
    expect([values, attempts.length]).toEqual([["first"], 1]);
  });

  it("that ends without a message has succeeded", async () => {
    const { client, attempts } = serve(async function* () {});
    expect([await read(client.list({})), attempts.length]).toEqual([[], 1]);
  });

  it("of a method that is not idempotent is not tried again, and its headers do not wait for a message", async () => {
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
    await expect(retry()(async () => streamResponse(silent))(streamRequest())).resolves.toMatchObject({ stream: true });
    const { client, attempts } = serve(failTwice, {}, EchoService);
    await expect(read(client.list({}))).rejects.toMatchObject({ code: Code.Unavailable });
    expect(attempts.length).toBe(1);
  });

  it("of a method that is not idempotent is tried again if the user says so", async () => {
    const { client } = serve(failTwice, { retryIf: () => true }, EchoService);
    expect(await read(client.list({ value: "hello" }))).toEqual(["hello", "end"]);
  });

  it("of a method that is not idempotent is tried again if it did not run", async () => {
    const run = retry({ clock: noWait });
    let attempts = 0;
    const response = await run(async () => {
      attempts += 1;
      if (attempts < 3) throw markUnprocessed(down());
      return streamResponse(one(text("hello")));
    })(streamRequest());
    expect([attempts, response.stream]).toEqual([3, true]);
  });

  it("hands on what its reader says to the stream of the attempt", async () => {
    const log: string[] = [];
    const source = async function* () {
      try {
        yield text("one");
        yield text("two");
      } finally {
        log.push("closed");
      }
    };
    const request: StreamRequest = { ...streamRequest(), method: repeatableList };
    const response = await retry({ clock: noWait })(async () => streamResponse(source()))(request);
    const iterator = messagesOf(response)[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
    expect(log).toEqual(["closed"]);
    await expect(iterator.next()).resolves.toMatchObject({ done: true });
  });

  it("spends and earns the budget by its first message", async () => {
    const budget = createRetryBudget({ maxTokens: 10 });
    const { client } = serve(failTwice, { budget });
    await read(client.list({ value: "hello" }));
    expect(budget.snapshots()).toMatchObject([{ tokens: 8.1 }]);
  });
});

function messagesOf(response: { readonly stream: boolean; readonly message: unknown }): AsyncIterable<StringValue> {
  return response.message as AsyncIterable<StringValue>;
}

describe("a request stream", () => {
  const chunks = () => many("a", "b");
  const contextValues = () => createContextValues().set(requestSourceKey, chunks);

  it("is not tried again, not even if it did not run", async () => {
    const { client, attempts } = serve(failTwice);
    await expect(client.upload(chunks())).rejects.toMatchObject({ code: Code.Unavailable });
    await expect(read(client.chat(chunks()))).rejects.toMatchObject({ code: Code.Unavailable });
    expect(attempts.length).toBe(2);
    const refused = markUnprocessed(down());
    const request: StreamRequest = { ...streamRequest(), method: EchoService.method.upload };
    let begun = 0;
    const run = retry({ clock: noWait })(() => {
      begun += 1;
      return Promise.reject(refused);
    });
    await expect(run(request)).rejects.toBe(refused);
    expect(begun).toBe(1);
  });

  it("is tried again with a source that can be read again", async () => {
    const upload = serve(failTwice);
    await expect(upload.client.upload(chunks(), { contextValues: contextValues() })).resolves.toMatchObject({
      value: "a",
    });
    const chat = serve(failTwice);
    expect(await read(chat.client.chat(chunks(), { contextValues: contextValues() }))).toEqual(["a", "b", "end"]);
    expect([upload.attempts.length, chat.attempts.length]).toEqual([3, 3]);
  });

  it("gives the first attempt the messages of the call, and only later ones those of the source", async () => {
    const received: string[][] = [];
    const { client } = serve(async function* ({ number, messages }) {
      received.push(await read(messages));
      if (number === 1) throw down();
      yield { value: "end" };
    });
    await client.upload(many("of the call"), { contextValues: contextValues() });
    expect(received).toEqual([["of the call"], ["a", "b"]]);
  });

  it("whose source is given is still tried again only if that is safe", async () => {
    const { client, attempts } = serve(failTwice, {}, EchoService);
    const call = client.upload(chunks(), { contextValues: contextValues() });
    await expect(call).rejects.toMatchObject({ code: Code.Unavailable });
    expect(attempts.length).toBe(1);
  });
});

describe("abort", () => {
  it("between two reads of a stream ends it, and leaves no listener and no timer", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    let inner: AbortSignal | undefined;
    const request: StreamRequest = {
      ...streamRequest({ signal: controller.signal }),
      method: repeatableList,
    };
    const run = retry({ clock, perAttemptTimeoutMs: 50 })(async ({ signal }) => {
      inner = signal;
      return streamResponse(untilAborted(signal));
    });
    const iterator = messagesOf(await run(request))[Symbol.asyncIterator]();
    await expect(iterator.next()).resolves.toMatchObject({ value: { value: "first" } });
    await clock.advance(1_000);
    expect([inner?.aborted, clock.pending]).toEqual([false, 0]);
    const reason = new ConnectError("enough", Code.Canceled);
    controller.abort(reason);
    await expect(iterator.next()).rejects.toBe(reason);
    expect([inner?.reason, getEventListeners(controller.signal, "abort")]).toEqual([reason, []]);
  });

  it("before the first message fails the call, without another attempt", async () => {
    const controller = new AbortController();
    const reason = new ConnectError("enough", Code.Canceled);
    const request: StreamRequest = {
      ...streamRequest({ signal: controller.signal }),
      method: repeatableList,
    };
    let attempts = 0;
    const call = retry({ clock: new FakeClock(), perAttemptTimeoutMs: 50 })(async ({ signal }) => {
      attempts += 1;
      await settle();
      controller.abort(reason);
      return streamResponse(untilAborted(signal));
    })(request);
    await expect(call).rejects.toBe(reason);
    expect(attempts).toBe(1);
  });

  async function* untilAborted(signal: AbortSignal) {
    yield text("first");
    signal.throwIfAborted();
    yield text("second");
  }
});

describe("perAttemptTimeoutMs of a stream", () => {
  it("is about its first message, and gone after it", async () => {
    const clock = new FakeClock();
    const gates = [0, 1].map(() => Promise.withResolvers<void>());
    const signals: AbortSignal[] = [];
    const run = retry({ clock, perAttemptTimeoutMs: 50, backoff: { jitter: "none" } })(async ({ signal }) => {
      const gate = gates[signals.length];
      signals.push(signal);
      return streamResponse(
        (async function* () {
          await gate?.promise;
          yield text("first");
        })(),
      );
    });
    const request: StreamRequest = { ...streamRequest(), method: repeatableList };
    const call = run(request);
    await clock.advance(149);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    await clock.advance(1);
    gates[1]?.resolve();
    expect(await read(messagesOf(await call))).toEqual(["first"]);
    // Over, like the signal of every call that has ended.
    expect([signals.length, clock.pending, getEventListeners(request.signal, "abort")]).toEqual([2, 0, []]);
  });

  it("lets go of a stream that fails later", async () => {
    const clock = new FakeClock();
    const request: StreamRequest = { ...streamRequest(), method: repeatableList };
    const late = down();
    const response = await retry({ clock, perAttemptTimeoutMs: 50 })(async () =>
      streamResponse(
        (async function* () {
          yield text("first");
          throw late;
        })(),
      ),
    )(request);
    await expect(read(messagesOf(response))).rejects.toBe(late);
    expect([clock.pending, getEventListeners(request.signal, "abort")]).toEqual([0, []]);
  });
});
