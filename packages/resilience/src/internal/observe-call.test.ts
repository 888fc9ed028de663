import { getEventListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  createRouterTransport,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EchoService } from "../../test/fixtures/echo-service.ts";
import { type CallOutcome, observeCall } from "./observe-call.ts";

const { get, list } = EchoService.method;
const message = create(StringValueSchema, { value: "hello" });

const common = () => ({
  service: EchoService,
  requestMethod: "POST",
  url: "http://test/",
  header: new Headers(),
  contextValues: createContextValues(),
});

function unaryRequest(signal = new AbortController().signal): UnaryRequest {
  return { ...common(), stream: false, method: get, message, signal };
}

function streamRequest(signal = new AbortController().signal): StreamRequest {
  return { ...common(), stream: true, method: list, message: messagesOf(message), signal };
}

async function* messagesOf<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

const unaryResponse: UnaryResponse = {
  stream: false,
  service: EchoService,
  method: get,
  message,
  header: new Headers(),
  trailer: new Headers(),
};

function streamResponse(messages: AsyncIterable<StringValue>): StreamResponse {
  return {
    stream: true,
    service: EchoService,
    method: list,
    message: messages,
    header: new Headers(),
    trailer: new Headers(),
  };
}

/** One line for each time a call was told to have ended. */
function outcomes() {
  const log: string[] = [];
  const onSettled = (outcome: CallOutcome) => {
    log.push(outcome.ok ? "ok" : `${outcome.cancelled ? "cancelled" : "failed"}: ${outcome.error.message}`);
  };
  return { log, onSettled };
}

const unavailable = new ConnectError("down", Code.Unavailable);
const canceled = new ConnectError("enough", Code.Canceled);
const tooLate = new ConnectError("too late", Code.DeadlineExceeded);

describe("observeCall, unary", () => {
  it("tells of success before the caller goes on, and passes the very promise on", async () => {
    const { log, onSettled } = outcomes();
    const call = Promise.resolve(unaryResponse);
    const observed = observeCall(() => call, unaryRequest(), onSettled);
    expect(observed).toBe(call);
    await observed.then(() => log.push("caller"));
    expect(log).toEqual(["ok", "caller"]);
  });

  it.each([
    { title: "an error", reason: unavailable, told: "failed: [unavailable] down" },
    { title: "what is no ConnectError", reason: new Error("oops"), told: "failed: [unknown] oops" },
    { title: "canceled by the callee", reason: canceled, told: "failed: [canceled] enough" },
  ])("tells of $title, and leaves it as it is", async ({ reason, told }) => {
    const { log, onSettled } = outcomes();
    await expect(observeCall(() => Promise.reject(reason), unaryRequest(), onSettled)).rejects.toBe(reason);
    expect(log).toEqual([told]);
  });

  it("takes a next that throws at once for a call that failed", async () => {
    const { log, onSettled } = outcomes();
    const broken = () => {
      throw unavailable;
    };
    await expect(observeCall(broken, unaryRequest(), onSettled)).rejects.toBe(unavailable);
    expect(log).toEqual(["failed: [unavailable] down"]);
  });

  it.each([
    { title: "cancelled by the caller", abort: canceled, told: "cancelled: [canceled] enough" },
    { title: "without a reason of ours", abort: new Error("bye"), told: "cancelled: [canceled] bye" },
    { title: "out of time", abort: tooLate, told: "failed: [deadline_exceeded] too late" },
  ])("a call $title ends when it settles, for the reason of its signal", async ({ abort, told }) => {
    const { log, onSettled } = outcomes();
    const controller = new AbortController();
    const call = Promise.withResolvers<UnaryResponse>();
    const observed = observeCall(() => call.promise, unaryRequest(controller.signal), onSettled);
    controller.abort(abort);
    expect(log).toEqual([]);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    call.reject(new Error("socket closed"));
    await expect(observed).rejects.toThrow("socket closed");
    expect(log).toEqual([told]);
  });
});

/** A stream that gives what is pushed, and logs how it is left. */
function source(log: string[]) {
  const reads: PromiseWithResolvers<IteratorResult<StringValue>>[] = [];
  const messages: AsyncIterable<StringValue> = {
    [Symbol.asyncIterator]: () => ({
      next() {
        const read = Promise.withResolvers<IteratorResult<StringValue>>();
        reads.push(read);
        return read.promise;
      },
      async return() {
        log.push("source: return");
        return { done: true, value: undefined };
      },
      async throw(reason: unknown) {
        log.push("source: throw");
        throw reason;
      },
    }),
  };
  const take = () => {
    const read = reads.shift();
    if (read === undefined) throw new Error("nobody reads");
    return read;
  };
  return {
    messages,
    give: () => take().resolve({ done: false, value: message }),
    end: () => take().resolve({ done: true, value: undefined }),
    fail: (reason: unknown) => take().reject(reason),
  };
}

async function openStream(signal?: AbortSignal) {
  const { log, onSettled } = outcomes();
  const request = streamRequest(signal);
  const stream = source(log);
  const response = await observeCall(async () => streamResponse(stream.messages), request, onSettled);
  if (!response.stream) throw new Error("not a stream");
  const reader = response.message[Symbol.asyncIterator]();
  return { log, stream, reader, request };
}

describe("observeCall, streams", () => {
  it("has not succeeded before the end was read; then leaves no listener", async () => {
    const { log, stream, reader, request } = await openStream();
    const first = reader.next();
    stream.give();
    expect(await first).toEqual({ done: false, value: message });
    expect(log).toEqual([]);
    const last = reader.next().then(({ done }) => log.push(`caller: done ${done}`));
    stream.end();
    await last;
    expect(log).toEqual(["ok", "caller: done true"]);
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
  });

  it("tells of an error between messages, and leaves it as it is", async () => {
    const { log, stream, reader, request } = await openStream();
    const read = reader.next();
    stream.fail(unavailable);
    await expect(read).rejects.toBe(unavailable);
    expect(log).toEqual(["failed: [unavailable] down"]);
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
  });

  it("tells of an error before the first message", async () => {
    const { log, onSettled } = outcomes();
    const request = streamRequest();
    await expect(observeCall(() => Promise.reject(unavailable), request, onSettled)).rejects.toBe(unavailable);
    expect(log).toEqual(["failed: [unavailable] down"]);
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
  });

  it.each([
    { title: "cancelled", abort: canceled, told: "cancelled: [canceled] enough" },
    { title: "out of time", abort: tooLate, told: "failed: [deadline_exceeded] too late" },
  ])("abort between two stream reads: $title, told at once and only once", async ({ abort, told }) => {
    const controller = new AbortController();
    const { log, stream, reader } = await openStream(controller.signal);
    const first = reader.next();
    stream.give();
    await first;
    controller.abort(abort);
    expect(log).toEqual([told]);
    const second = reader.next();
    stream.fail(abort);
    await expect(second).rejects.toBe(abort);
    expect(log).toEqual([told]);
  });

  it("a reader who never reads, but aborts", async () => {
    const controller = new AbortController();
    const { log } = await openStream(controller.signal);
    controller.abort(canceled);
    expect(log).toEqual(["cancelled: [canceled] enough"]);
  });

  it("an abort before the stream is open, and one before the call began", async () => {
    const { log, onSettled } = outcomes();
    const controller = new AbortController();
    const opening = Promise.withResolvers<StreamResponse>();
    const observed = observeCall(() => opening.promise, streamRequest(controller.signal), onSettled);
    controller.abort(canceled);
    expect(log).toEqual(["cancelled: [canceled] enough"]);
    opening.reject(canceled);
    await expect(observed).rejects.toBe(canceled);
    const late = observeCall(() => Promise.reject(canceled), streamRequest(controller.signal), onSettled);
    expect(log).toEqual(["cancelled: [canceled] enough", "cancelled: [canceled] enough"]);
    await expect(late).rejects.toBe(canceled);
    expect(log).toHaveLength(2);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("a reader who leaves, even while a read is pending", async () => {
    const { log, reader } = await openStream();
    void reader.next();
    await reader.return?.();
    expect(log).toEqual(["cancelled: [canceled] the reader left the stream", "source: return"]);
  });

  it("a reader who throws into the stream", async () => {
    const { log, reader } = await openStream();
    await expect(reader.throw?.(unavailable)).rejects.toBe(unavailable);
    expect(log).toEqual(["cancelled: [canceled] the reader left the stream", "source: throw"]);
  });

  it("a reader who leaves a source that cannot be left", async () => {
    const { log, onSettled } = outcomes();
    const endless = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: message }) }) };
    const response = await observeCall(async () => streamResponse(endless), streamRequest(), onSettled);
    if (!response.stream) throw new Error("not a stream");
    const reader = response.message[Symbol.asyncIterator]();
    expect(await reader.return?.("x")).toEqual({ done: true, value: "x" });
    await expect(reader.throw?.(unavailable)).rejects.toBe(unavailable);
    expect(log).toEqual(["cancelled: [canceled] the reader left the stream"]);
  });

  it("tells of the first message, once", async () => {
    const log: string[] = [];
    const response = await observeCall(
      async () => streamResponse(messagesOf(message, message)),
      streamRequest(),
      () => log.push("settled"),
      () => log.push("answered"),
    );
    if (!response.stream) throw new Error("not a stream");
    for await (const _ of response.message) log.push("message");
    expect(log).toEqual(["answered", "message", "message", "settled"]);
  });

  it("a reader who leaves without a word: told when the stream is garbage collected", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage: () => void = runInNewContext("gc");
    const ended = Promise.withResolvers<CallOutcome>();
    const request = streamRequest();
    const readOne = async () => {
      const response = await observeCall(async () => streamResponse(messagesOf(message)), request, ended.resolve);
      if (!response.stream) throw new Error("not a stream");
      await response.message[Symbol.asyncIterator]().next();
    };
    await readOne();
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(await ended.promise).toMatchObject({ ok: false, cancelled: true });
    expect(getEventListeners(request.signal, "abort")).toEqual([]);
  });
});

describe("observeCall within Connect", () => {
  function client(log: string[]) {
    const { onSettled } = { onSettled: (outcome: CallOutcome) => log.push(outcome.ok ? "ok" : outcome.error.message) };
    const interceptor: Interceptor = (next) => (request) => observeCall(next, request, onSettled);
    const transport = createRouterTransport(
      ({ service }) => {
        service(EchoService, {
          get: ({ value }) => ({ value }),
          async *list() {
            yield { value: "1" };
            yield { value: "2" };
          },
          async upload(requests) {
            let count = 0;
            for await (const _ of requests) count += 1;
            return { value: `${count}` };
          },
          async *chat(requests) {
            for await (const { value } of requests) {
              if (value === "fail") throw unavailable;
              yield { value };
            }
          },
        });
      },
      { transport: { interceptors: [interceptor] } },
    );
    return createClient(EchoService, transport);
  }

  const texts = (...values: string[]) => messagesOf(...values.map((value) => ({ value })));

  it("all four kinds succeed once", async () => {
    const log: string[] = [];
    const echo = client(log);
    await echo.get({ value: "a" });
    for await (const _ of echo.list({})) log.push("message");
    await echo.upload(texts("a", "b"));
    for await (const _ of echo.chat(texts("a"))) log.push("message");
    expect(log).toEqual(["ok", "message", "message", "ok", "ok", "message", "ok"]);
  });

  it("an error after a message fails the call once", async () => {
    const log: string[] = [];
    const read = async () => {
      for await (const _ of client(log).chat(texts("a", "fail"))) log.push("message");
    };
    await expect(read()).rejects.toThrow("[unavailable] down");
    expect(log).toEqual(["message", "[unavailable] down"]);
  });

  it("a reader who leaves its loop and aborts cancels the call", async () => {
    const log: string[] = [];
    const controller = new AbortController();
    for await (const _ of client(log).list({}, { signal: controller.signal })) break;
    expect(log).toEqual([]);
    controller.abort(canceled);
    expect(log).toEqual(["[canceled] enough"]);
  });
});
