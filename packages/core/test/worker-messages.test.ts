import { isDeepStrictEqual } from "node:util";
import { fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Code, type StreamResponse } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HAND_OVER_BYTES } from "../src/worker/frame.ts";
import { createWorkerPair } from "./fixtures/worker-pair.ts";
import { collect } from "./support/collect.ts";
import { EchoService } from "./support/echo-service.ts";
import { type Dialect, everyField, messageOf, methodsOf } from "./support/every-field.ts";

const dialects: Dialect[] = ["proto2", "proto3", "editions"];

describe.each(dialects)("messages of every field kind in %s", (dialect) => {
  // The plugin has a copy of its own of everything, descriptors included.
  const [near, far] = [everyField(dialect), everyField(dialect)];
  const methods = methodsOf(near.service);

  it("arrive equal, on all four kinds of RPC", { timeout: 60_000 }, async () => {
    const received: Message[] = [];
    const take = (request: Message) => {
      received.push(request);
      return request;
    };
    const impl = {
      unary: take,
      async *serverStream(request: Message) {
        yield take(request);
      },
      async clientStream(requests: AsyncIterable<Message>) {
        const [request] = await collect(requests);
        return take(request as Message);
      },
      async *bidiStream(requests: AsyncIterable<Message>) {
        for await (const request of requests) yield take(request);
      },
    };
    await using pair = await createWorkerPair({ routes: (router) => router.service(far.service, impl as never) });
    const { transport } = pair.calls;
    await fc.assert(
      fc.asyncProperty(messageOf(near.schema), async (message) => {
        received.length = 0;
        const sent = toBinary(near.schema, message);
        const answers: Message[] = [
          (await transport.unary(methods.unary, undefined, undefined, undefined, message as never)).message,
        ];
        for (const method of [methods.serverStream, methods.clientStream, methods.bidiStream]) {
          const response: StreamResponse = await transport.stream(
            method,
            undefined,
            undefined,
            undefined,
            once(message) as never,
          );
          answers.push(...(await collect(response.message)));
        }
        expect([received.length, answers.length]).toEqual([4, 4]);
        for (const arrived of received) {
          expect(isDeepStrictEqual(arrived, fromBinary(far.schema, sent))).toBe(true);
        }
        for (const answer of answers) {
          expect(isDeepStrictEqual(answer, fromBinary(near.schema, sent))).toBe(true);
          expect(Buffer.compare(toBinary(near.schema, answer), sent)).toBe(0); // unknown fields, too
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("sizes", () => {
  const around = [0, 1, HAND_OVER_BYTES - 8, HAND_OVER_BYTES, 100_000, 1_000_000];

  it.each(around)("%i bytes arrive, whether they are packed or handed over", async (length) => {
    await using pair = await createWorkerPair();
    const data = new Uint8Array(length).fill(7);
    const answers = await Promise.all(Array.from({ length: 5 }, () => pair.echo.unary({ data, text: "x" })));
    for (const answer of answers) expect(Buffer.compare(answer.data, data)).toBe(0);
    expect(data.byteLength).toBe(length); // the caller's own bytes stay with it
  });

  it("messages of one batch share no memory", async () => {
    await using pair = await createWorkerPair();
    const data = new Uint8Array(10);
    const answers = await Promise.all([1, 2, 3].map(() => pair.echo.unary({ data })));
    expect(new Set(answers.map((answer) => answer.data.buffer)).size).toBe(3);
  });

  it.each([
    { side: "client", server: 1_000_000, client: 1_000 },
    { side: "server", server: 1_000, client: 1_000_000 },
  ])("are limited by the $side, in both directions", async ({ server, client }) => {
    const impl = { unary: () => ({ data: new Uint8Array(2_000) }) };
    const answering = await createWorkerPair(
      { routes: (router) => router.service(EchoService, impl), maxMessageBytes: server },
      { maxMessageBytes: client },
    );
    await using asked = await createWorkerPair({ maxMessageBytes: server }, { maxMessageBytes: client });
    const refused = { code: Code.ResourceExhausted, rawMessage: expect.stringMatching(/^message size \d+ is larger/) };
    await expect(answering.echo.unary({})).rejects.toMatchObject(refused);
    await expect(asked.echo.unary({ data: new Uint8Array(2_000) })).rejects.toMatchObject(refused);
    const streamed = asked.echo.bidiStream(once({ data: new Uint8Array(2_000) }));
    await expect(collect(streamed)).rejects.toMatchObject(refused);
    expect((await asked.echo.unary({ text: "still here" })).text).toBe("still here");
    await asked.idle();
    await answering[Symbol.asyncDispose]();
  });
});

async function* once<T>(item: T): AsyncGenerator<T, void, void> {
  yield item;
}
