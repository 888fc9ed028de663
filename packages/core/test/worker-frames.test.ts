import { MessageChannel, type MessagePort } from "node:worker_threads";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createMemoryServer } from "@cpg/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFrameBatch, HAND_OVER_BYTES } from "../src/worker/frame.ts";
import { createPortClient } from "../src/worker/port-client.ts";
import { servePort } from "../src/worker/worker-port.ts";
import { turn } from "./fixtures/worker-pair.ts";
import { collect } from "./support/collect.ts";
import { EchoService } from "./support/echo-service.ts";

/** A host whose plugin is a bare port: the test posts in its place. */
function createHost() {
  const { port1, port2 } = new MessageChannel();
  const client = createPortClient(port1, "worker:bad");
  const calls = client.open({});
  return { client, calls, plugin: port2, echo: createClient(EchoService, calls.transport) };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await work.then(
    () => "OK",
    (reason: unknown) => (reason instanceof ConnectError ? Code[reason.code] : `no ConnectError: ${reason}`),
  )) as string;
}

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn();
}

/** Posts what a plugin would, frame by frame in one batch. */
function post(port: MessagePort, write: (batch: ReturnType<typeof createFrameBatch>) => void): void {
  const batch = createFrameBatch(() => {});
  write(batch);
  port.postMessage(batch.take().data);
}

const bytes = new Uint8Array(3);

describe("a plugin that breaks the protocol", () => {
  // The unary call has id 1, the stream id 2.
  const violations: { what: string; post(port: MessagePort): void }[] = [
    ...[undefined, null, 5, "text", [], {}, [null], new Map(), new Uint16Array(4), [new Uint8Array(), "text"]].map(
      (data) => ({
        what: `posts ${JSON.stringify(data) ?? data}`,
        post: (port: MessagePort) => port.postMessage(data),
      }),
    ),
    { what: "posts shared memory", post: (port) => port.postMessage(readyInSharedMemory()) },
    { what: "posts a port", post: (port) => port.postMessage(...withPort()) },
    { what: "cuts a frame off", post: (port) => port.postMessage(new BinaryWriter().uint32(1).finish()) },
    { what: "names no kind", post: (port) => port.postMessage(new BinaryWriter().uint32(99).uint32(1).finish()) },
    {
      what: "names bytes that are not there",
      post: (port) => port.postMessage(new BinaryWriter().uint32(2).uint32(1).finish()),
    },
    { what: "leaves bytes over", post: (port) => port.postMessage([new Uint8Array(), bytes]) },
    { what: "sends a header that is none", post: (port) => post(port, (batch) => batch.head(1, badHeaders())) },
    { what: "sends a message before the headers", post: (port) => post(port, (batch) => batch.message(1, bytes)) },
    {
      what: "sends an end before the message",
      post: (port) =>
        post(port, (batch) => {
          batch.head(1, new Headers());
          batch.end(1, undefined);
        }),
    },
    {
      what: "sends two headers",
      post: (port) =>
        post(port, (batch) => {
          batch.head(2, new Headers());
          batch.head(2, new Headers());
        }),
    },
    {
      what: "sends two answers",
      post: (port) =>
        post(port, (batch) => {
          batch.head(1, new Headers());
          batch.message(1, bytes);
          batch.message(1, bytes);
        }),
    },
    {
      what: "opens a call",
      post: (port) =>
        post(port, (batch) => batch.open(1, { path: "/", methodKind: "unary", timeoutMs: 1, header: undefined })),
    },
    { what: "cancels a call", post: (port) => post(port, (batch) => batch.cancel(2, true)) },
    { what: "takes what was not sent", post: (port) => post(port, (batch) => batch.credit(2, 1_000, 0)) },
    { what: "takes bytes that were not sent", post: (port) => post(port, (batch) => batch.credit(2, 0, 1e9)) },
    { what: "counts in fractions", post: (port) => post(port, (batch) => batch.credit(2, 0, 0.5)) },
    { what: "gives credit to a unary call", post: (port) => post(port, (batch) => batch.credit(1, 0, 0)) },
    { what: "has seen what was not sent", post: (port) => post(port, (batch) => batch.seen(1e9)) },
    {
      what: "sends more than there is room for",
      post: (port) =>
        post(port, (batch) => {
          batch.head(2, new Headers());
          for (let sent = 0; sent < 65; sent++) batch.message(2, bytes);
        }),
    },
    {
      what: "sends an error that is none",
      post: (port) => port.postMessage(new BinaryWriter().uint32(5).uint32(1).string("[]").uint32(0).finish()),
    },
    {
      what: "sends an error that is no JSON",
      post: (port) => port.postMessage(new BinaryWriter().uint32(5).uint32(1).string("{").uint32(0).finish()),
    },
  ];

  it.each(violations)("that $what loses its calls, and the host goes on", async ({ post: act }) => {
    const { client, calls, plugin, echo } = createHost();
    const unary = echo.unary({});
    const stream = collect(echo.bidiStream(never()));
    const outcomes = Promise.all([codeOf(unary), codeOf(stream)]);
    await turns(3);
    act(plugin);
    expect(await outcomes).toEqual(["Unavailable", "Unavailable"]);
    expect(await client.closed).toBeInstanceOf(Error);
    expect(client.inFlight).toBe(0);
    const late = ConnectError.from(await echo.unary({}).catch((reason: unknown) => reason));
    expect(late.rawMessage).toMatch(/^cannot connect to worker:bad: it broke the protocol: /);
    await calls.close();
  });

  it("a frame for a call that there is not, or not any more, harms nobody", async () => {
    const { client, plugin, echo } = createHost();
    const call = echo.unary({});
    await turns(3);
    post(plugin, (batch) => {
      for (const id of [7, 0, 2 ** 32 - 1]) {
        batch.head(id, new Headers());
        batch.credit(id, 5, 5);
        batch.end(id, undefined);
      }
      for (let times = 0; times < 2; times++) {
        batch.head(1, new Headers());
        batch.message(1, new Uint8Array());
        batch.end(1, undefined);
      }
    });
    expect((await call).text).toBe("");
    expect(client.inFlight).toBe(0);
    client.close();
    expect(await client.closed).toBeUndefined();
  });

  it("an answer that is no message fails its call alone", async () => {
    const { client, plugin, echo } = createHost();
    const calls = [echo.unary({}), echo.unary({})].map(codeOf);
    await turns(3);
    post(plugin, (batch) => {
      for (const [id, answer] of [
        [1, new Uint8Array([255])],
        [2, new Uint8Array()],
      ] as const) {
        batch.head(id, new Headers());
        batch.message(id, answer);
        batch.end(id, undefined);
      }
    });
    expect(await Promise.all(calls)).toEqual(["Internal", "OK"]);
    client.close();
  });
});

it("whatever a plugin posts, no call is left and none fails but with a ConnectError", { timeout: 60_000 }, async () => {
  const valid = fc
    .array(
      fc.record({
        kind: fc.constantFrom("head", "message", "end", "error", "credit", "seen", "ready"),
        id: fc.integer({ min: 0, max: 3 }),
        size: fc.integer({ min: 0, max: 20_000 }),
      }),
      { minLength: 1, maxLength: 12 },
    )
    .map((frames) => {
      const batch = createFrameBatch(() => {});
      for (const { kind, id, size } of frames) {
        if (kind === "head") batch.head(id, new Headers({ "x-a": "b" }));
        else if (kind === "message") batch.message(id, new Uint8Array(size));
        else if (kind === "end") batch.end(id, undefined);
        else if (kind === "error") batch.error(id, new ConnectError("an error", Code.Aborted));
        else if (kind === "credit") batch.credit(id, size % 3, size);
        else if (kind === "seen") batch.seen(size);
        else batch.ready();
      }
      return batch.take().data;
    });
  const damaged = fc
    .tuple(valid, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(30))
    .map(([data, changes, cut]) => {
      const packed = Uint8Array.from((Array.isArray(data) ? data[0] : data) as Uint8Array);
      for (const [at, value] of changes) if (packed.length > 0) packed[at % packed.length] = value;
      return packed.subarray(0, Math.max(1, packed.length - cut)).slice();
    });
  const anything = fc.oneof(valid, damaged, fc.uint8Array({ maxLength: 40 }), fc.anything());

  await fc.assert(
    fc.asyncProperty(fc.array(anything, { minLength: 1, maxLength: 4 }), async (posts) => {
      const { client, calls, plugin, echo } = createHost();
      const outcomes = [
        echo.unary({}),
        collect(echo.serverStream({ count: 2 })),
        collect(echo.bidiStream(never())),
      ].map(codeOf);
      await turns(2);
      for (const data of posts) {
        try {
          plugin.postMessage(data);
        } catch {
          // not everything can be posted
        }
        await turn();
      }
      await turns(2);
      await calls.close();
      const codes = await Promise.all(outcomes);
      expect(codes.filter((code) => code.startsWith("no ConnectError"))).toEqual([]);
      expect(client.inFlight).toBe(0);
      client.close();
      await client.closed;
    }),
    { numRuns: 500, seed: 20_261_125 },
  );
});

describe("a host that breaks the protocol", () => {
  const open = {
    path: "/cpg.test.v1.EchoService/BidiStream",
    methodKind: "bidi_streaming",
    timeoutMs: 1,
    header: undefined,
  };
  const violations: { what: string; write(batch: ReturnType<typeof createFrameBatch>): void }[] = [
    { what: "uses an id twice", write: (batch) => batch.open(1, open) },
    { what: "sends ready", write: (batch) => batch.ready() },
    { what: "answers", write: (batch) => batch.head(1, new Headers()) },
    { what: "fails", write: (batch) => batch.error(1, new ConnectError("an error")) },
    { what: "takes what was not sent", write: (batch) => batch.credit(1, 1, 1) },
    {
      what: "goes on after the end",
      write(batch) {
        batch.end(1, undefined);
        batch.message(1, bytes);
      },
    },
  ];

  it.each(violations)("that $what is told to the plugin, and its calls end", async ({ write }) => {
    const { port1, port2 } = new MessageChannel();
    const begun = Promise.withResolvers<AbortSignal>();
    const server = createMemoryServer({
      routes: (router) =>
        router.service(EchoService, {
          async *bidiStream(requests, { signal }) {
            begun.resolve(signal);
            yield* requests;
          },
        }),
    });
    const errors: Error[] = [];
    const served = servePort({ port: port2, endpoint: "worker:p" }, server, { onError: (error) => errors.push(error) });
    post(port1, (batch) => batch.open(1, { ...open, timeoutMs: undefined }));
    const signal = await begun.promise;
    post(port1, write);
    await served.closed;
    expect(signal.aborted).toBe(true);
    expect(errors).toHaveLength(1);
    expect(served.inFlight).toBe(0);
    await served.close();
  });
});

it("large messages are handed over, small ones packed", () => {
  const batch = createFrameBatch(() => {});
  batch.message(1, new Uint8Array(HAND_OVER_BYTES - 1));
  expect(batch.take().transfer).toEqual([]);
  const large = new Uint8Array(HAND_OVER_BYTES);
  batch.message(1, large);
  const part = new Uint8Array(2 * HAND_OVER_BYTES).subarray(HAND_OVER_BYTES);
  batch.message(1, part); // of memory that is not its own
  const { transfer } = batch.take();
  expect(transfer.map(({ byteLength }) => byteLength)).toEqual([HAND_OVER_BYTES, HAND_OVER_BYTES]);
  expect(transfer[0]).toBe(large.buffer);
  expect(transfer[1]).not.toBe(part.buffer);
});

function readyInSharedMemory(): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(2));
  shared.set([9, 0]);
  return shared;
}

function badHeaders(): Headers {
  const names = { forEach: (each: (value: string, name: string) => void) => each("a\nb", "x y") };
  return Object.assign(new Headers(), names);
}

function withPort(): [unknown, MessagePort[]] {
  const { port1 } = new MessageChannel();
  return [port1, [port1]];
}

/** Sends one message, and then nothing for as long as the call lasts. */
async function* never(): AsyncGenerator<object, void, void> {
  yield {};
  await new Promise(() => {});
}
