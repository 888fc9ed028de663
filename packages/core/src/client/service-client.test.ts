import { create, type DescMethodStreaming, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { createServiceClient } from "./service-client.ts";

type WatchAnswer = MessageShape<typeof HealthService.method.watch.output>;

const { check, watch } = HealthService.method;
const answer = create(check.output);
const unused = () => Promise.reject(new Error("not called"));

function transportOf(calls: Partial<Transport>): Transport {
  return { unary: unused, stream: unused, ...calls };
}

function unaryResponse(): UnaryResponse {
  return {
    stream: false,
    service: HealthService,
    method: check,
    message: answer,
    header: new Headers({ "x-a": "header" }),
    trailer: new Headers({ "x-a": "trailer" }),
  };
}

/** A transport whose stream gives what `next` gives, and takes down the signal that it is called with. */
function streaming(next: () => Promise<IteratorResult<WatchAnswer>>) {
  const seen: { signal: AbortSignal | undefined } = { signal: undefined };
  const transport = transportOf({
    stream: (async (method: DescMethodStreaming, signal: AbortSignal | undefined) => {
      seen.signal = signal;
      const response: StreamResponse = {
        stream: true,
        service: HealthService,
        method,
        header: new Headers({ "x-a": "header" }),
        trailer: new Headers({ "x-a": "trailer" }),
        message: { [Symbol.asyncIterator]: () => ({ next }) },
      };
      return response;
    }) as Transport["stream"],
  });
  return { seen, client: createServiceClient(HealthService, transport) };
}

const item = (): IteratorResult<WatchAnswer> => ({ done: false, value: create(watch.output) });
const end: IteratorResult<WatchAnswer> = { done: true, value: undefined };

describe("a unary call", () => {
  it("gives the message, after header and trailer", async () => {
    const client = createServiceClient(
      HealthService,
      transportOf({ unary: (async () => unaryResponse()) as unknown as Transport["unary"] }),
    );
    const log: unknown[] = [];
    const options = {
      onHeader: (header: Headers) => log.push(header.get("x-a")),
      onTrailer: (trailer: Headers) => log.push(trailer.get("x-a")),
    };
    log.push(await client.check({}, options));
    expect(log).toEqual(["header", "trailer", answer]);
    expect(await client.check({})).toBe(answer);
  });

  it("hands its options to the transport", async () => {
    const given: unknown[][] = [];
    const client = createServiceClient(
      HealthService,
      transportOf({
        unary: (async (...parameters: unknown[]) => {
          given.push(parameters);
          return unaryResponse();
        }) as unknown as Transport["unary"],
      }),
    );
    const { signal } = new AbortController();
    await client.check({}, { signal, timeoutMs: 5, headers: { a: "1" } });
    await client.check({});
    expect(given).toEqual([
      [check, signal, 5, { a: "1" }, {}, undefined],
      [check, undefined, undefined, undefined, {}, undefined],
    ]);
  });

  it.each([{ options: undefined }, { options: {} }])("of a transport that throws rejects ($options)", async (row) => {
    const client = createServiceClient(
      HealthService,
      transportOf({
        unary() {
          throw new ConnectError("no", Code.DataLoss);
        },
      }),
    );
    await expect(client.check({}, row.options)).rejects.toMatchObject({ code: Code.DataLoss });
  });
});

describe("a stream", () => {
  it("tells header, messages, trailer, in this order, each once", async () => {
    const results = [item(), item(), end];
    const { client } = streaming(async () => results.shift() ?? end);
    const log: string[] = [];
    const messages = client.watch(
      {},
      { onHeader: (h) => log.push(`${h.get("x-a")}`), onTrailer: (t) => log.push(`${t.get("x-a")}`) },
    );
    for await (const _ of messages) log.push("message");
    expect(log).toEqual(["header", "message", "message", "trailer"]);
    expect(await messages[Symbol.asyncIterator]().next()).toEqual(end);
    expect(log).toHaveLength(4);
  });

  it("serves reads that overlap one after the other", async () => {
    const waiting: PromiseWithResolvers<IteratorResult<WatchAnswer>>[] = [];
    const asked: Promise<void>[] = [];
    let tell = Promise.withResolvers<void>();
    asked.push(tell.promise);
    const { client } = streaming(() => {
      const result = Promise.withResolvers<IteratorResult<WatchAnswer>>();
      waiting.push(result);
      tell.resolve();
      tell = Promise.withResolvers();
      asked.push(tell.promise);
      return result.promise;
    });
    const iterator = client.watch({})[Symbol.asyncIterator]();
    const reads = [iterator.next(), iterator.next(), iterator.next()];
    await asked[0];
    expect(waiting).toHaveLength(1);
    waiting[0]?.resolve(item());
    await asked[1];
    expect(waiting).toHaveLength(2);
    waiting[1]?.resolve(end);
    const results = await Promise.all(reads);
    expect(results.map(({ done = false }) => done)).toEqual([false, true, true]);
    expect(waiting).toHaveLength(2);
  });

  it.each<{ what: string; next: () => Promise<IteratorResult<WatchAnswer>> }>([
    { what: "rejects", next: () => Promise.reject(new ConnectError("no", Code.DataLoss)) },
    {
      what: "throws",
      next: () => {
        throw new ConnectError("no", Code.DataLoss);
      },
    },
  ])("whose transport $what fails once, then it is over", async ({ next }) => {
    const { client } = streaming(next);
    const iterator = client.watch({})[Symbol.asyncIterator]();
    const reads = [iterator.next(), iterator.next()];
    await expect(reads[0]).rejects.toMatchObject({ code: Code.DataLoss });
    expect(await reads[1]).toEqual(end);
    expect(await iterator.next()).toEqual(end);
  });

  it("ends its call when the reader leaves the loop, also while a message is awaited", async () => {
    const first = streaming(async () => item());
    for await (const _ of first.client.watch({})) break;
    expect(first.seen.signal?.aborted).toBe(true);

    const second = streaming(() => new Promise(() => {}));
    const iterator = second.client.watch({})[Symbol.asyncIterator]();
    void iterator.next();
    expect(await iterator.return?.()).toEqual(end);
    expect(second.seen.signal?.reason).toMatchObject({ code: Code.Canceled });
  });

  it("aborts with the caller's signal", () => {
    const { client, seen } = streaming(async () => end);
    const caller = new AbortController();
    client.watch({}, { signal: caller.signal });
    caller.abort("enough");
    expect(seen.signal?.reason).toBe("enough");
  });

  it("that nobody reads and that fails raises nothing; whoever reads it later gets the error", async () => {
    const client = createServiceClient(
      HealthService,
      transportOf({ stream: () => Promise.reject(new ConnectError("no", Code.Unavailable)) }),
    );
    const messages = client.watch({});
    await new Promise((resolve) => setImmediate(resolve));
    await expect(messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: Code.Unavailable });
  });

  it("of a transport that breaks its promise to reject throws, as Connect's client does", () => {
    const client = createServiceClient(
      HealthService,
      transportOf({
        stream() {
          throw new ConnectError("no", Code.DataLoss);
        },
      }),
    );
    expect(() => client.watch({})).toThrow(ConnectError);
  });
});
