import { isDeepStrictEqual } from "node:util";
import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { StreamResponse } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { createMemoryServer, type MemoryServerOptions } from "@cpg/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collect } from "./support/collect.ts";
import { createEcho, EchoSchema, EchoService } from "./support/echo-service.ts";
import { type Dialect, everyField, messageOf, methodsOf } from "./support/every-field.ts";

const dialects: Dialect[] = ["proto2", "proto3", "editions"];

describe.each(dialects)("messages of every field kind in %s", (dialect) => {
  const { schema, service } = everyField(dialect);
  const methods = methodsOf(service);
  const messages = messageOf(schema);

  /** Calls all four methods with one message; what arrived at the handler and at the caller. */
  async function crossAll(message: Message, options: Partial<MemoryServerOptions> = {}) {
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
    await using server = createMemoryServer({ routes: (router) => router.service(service, impl as never), ...options });
    const calls = server.connect();
    const answers = [(await calls.unary(methods.unary, undefined, undefined, undefined, message as never)).message];
    for (const method of [methods.serverStream, methods.clientStream, methods.bidiStream]) {
      const response: StreamResponse = await calls.stream(
        method,
        undefined,
        undefined,
        undefined,
        once(message) as never,
      );
      answers.push(...(await collect(response.message)));
    }
    return { received, answers };
  }

  it("arrive as over a wire, and share nothing, on all four kinds of RPC", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(messages, async (message) => {
        const sent = toBinary(schema, message);
        const overWire = fromBinary(schema, sent);
        const { received, answers } = await crossAll(message);
        expect(received).toHaveLength(4);
        expect(answers).toHaveLength(4);
        const own = objectsIn(message);
        for (const [index, arrived] of received.entries()) {
          const answer = answers[index] as Message;
          for (const copy of [arrived, answer]) {
            expect(isDeepStrictEqual(copy, overWire)).toBe(true); // with map keys such as "constructor", unlike toStrictEqual
            expect(equalBytes(toBinary(schema, copy), sent)).toBe(true);
          }
          expect(shared(own, objectsIn(arrived))).toEqual([]);
          expect(shared(objectsIn(arrived), objectsIn(answer))).toEqual([]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("arrive as they are by reference", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(messages, async (message) => {
        const { received, answers } = await crossAll(message, { byReference: true });
        expect([...received, ...answers].every((arrived) => arrived === message)).toBe(true);
        expect(received).toHaveLength(4);
      }),
      { numRuns: 20 },
    );
  });

  it("are measured as the wire measures them", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(messages, async (message) => {
        const { byteLength } = toBinary(schema, message);
        await crossAll(message, { maxMessageBytes: Math.max(1, byteLength) });
        fc.pre(byteLength > 1);
        await expect(crossAll(message, { maxMessageBytes: byteLength - 1 })).rejects.toMatchObject({
          code: Code.ResourceExhausted,
        });
      }),
      { numRuns: 20 },
    );
  });
});

describe("what a message must not hold", () => {
  const text = "cpg.test.v1.Echo.text";
  it.each([
    { what: "a number for text", message: { text: 5 }, names: text },
    { what: "null for text", message: { text: null }, names: text },
    { what: "text for bytes", message: { data: "abc" }, names: "cpg.test.v1.Echo.data" },
    { what: "an array for bytes", message: { data: [1] }, names: "cpg.test.v1.Echo.data" },
    { what: "a negative uint32", message: { count: -1 }, names: "cpg.test.v1.Echo.count" },
    { what: "a uint32 out of range", message: { count: 2 ** 32 }, names: "cpg.test.v1.Echo.count" },
    { what: "a fraction", message: { count: 1.5 }, names: "cpg.test.v1.Echo.count" },
  ])("$what is refused, isolated and by reference, in a request and in an answer", async ({ message, names }) => {
    for (const byReference of [false, true]) {
      const bad = Object.assign(create(EchoSchema), message) as never;
      let calls = 0;
      const handler = () => {
        calls++;
        return bad;
      };
      await using server = createMemoryServer({
        byReference,
        routes: (router) => router.service(EchoService, { ...createEcho(), unary: handler }),
      });
      const transport = server.connect();
      const refused = { code: Code.Internal, rawMessage: expect.stringContaining(names) };
      const call = (input: never) => transport.unary(EchoService.method.unary, undefined, undefined, undefined, input);
      await expect(call(bad)).rejects.toMatchObject(refused);
      expect(calls).toBe(0);
      await expect(call({} as never)).rejects.toMatchObject(refused);
      expect(calls).toBe(1);
      expect(server.inFlight).toBe(0);
    }
  });

  it("a required field that is unset is refused", async () => {
    const { schema, service } = everyField("proto2");
    await using server = createMemoryServer({ routes: (router) => router.service(service, {}) });
    await expect(
      server.connect().unary(methodsOf(service).unary, undefined, undefined, undefined, create(schema) as never),
    ).rejects.toMatchObject({ code: Code.Internal, rawMessage: expect.stringContaining("is required") });
  });

  it("a value that a closed enum does not know arrives among the unknown fields", async () => {
    const { service } = everyField("proto2");
    const schema: DescMessage = service.methods[0]?.input as DescMessage;
    const [message] = fc.sample(messageOf(schema), { numRuns: 1, seed: 7 });
    Object.assign(message as Message, { color: 99 });
    const impl = { unary: (request: Message) => request };
    await using server = createMemoryServer({ routes: (router) => router.service(service, impl as never) });
    const { message: arrived } = await server
      .connect()
      .unary(methodsOf(service).unary, undefined, undefined, undefined, message as never);
    expect(arrived).toStrictEqual(fromBinary(schema, toBinary(schema, message as Message)));
    expect(Object.hasOwn(arrived, "color")).toBe(false);
  });

  it("messages nested in themselves end the call, not the process", async () => {
    const { schema, service } = everyField("proto3");
    const leaf = create(schema.field.leaf?.message as DescMessage) as Message & { next?: Message };
    leaf.next = leaf;
    await using server = createMemoryServer({ routes: (router) => router.service(service, {}) });
    await expect(
      server.connect().unary(methodsOf(service).unary, undefined, undefined, undefined, { leaf } as never),
    ).rejects.toMatchObject({ code: Code.Internal });
  });

  it("half of a surrogate pair arrives as U+FFFD, and is refused by reference", async () => {
    const routes: MemoryServerOptions["routes"] = (router) => router.service(EchoService, createEcho());
    await using isolated = createMemoryServer({ routes });
    await using byReference = createMemoryServer({ routes, byReference: true });
    const call = (server: typeof isolated) =>
      server.connect().unary(EchoService.method.unary, undefined, undefined, undefined, { text: "\ud800" });
    expect((await call(isolated)).message.text).toBe("\ufffd");
    await expect(call(byReference)).rejects.toMatchObject({ code: Code.Internal });
  });
});

it("two descriptors of one type understand each other, and the receiver's is the one that counts", async () => {
  const [near, far] = [everyField("proto3"), everyField("proto3")];
  const [message] = fc.sample(messageOf(near.schema), { numRuns: 1, seed: 3 });
  const received: Message[] = [];
  const impl = { unary: (request: Message) => received.push(request) && request };
  await using server = createMemoryServer({ routes: (router) => router.service(far.service, impl as never) });
  const { unary } = methodsOf(near.service);
  const { message: answer } = await server.connect().unary(unary, undefined, undefined, undefined, message as never);
  const overWire = fromBinary(near.schema, toBinary(near.schema, message as Message));
  expect(received).toEqual([overWire]);
  expect(answer).toEqual(overWire);
});

async function* once<T>(item: T): AsyncGenerator<T, void, void> {
  yield item;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Every object that can be reached, and the memory of every byte array. */
function objectsIn(value: unknown, found = new Set<object>()): Set<object> {
  if (typeof value !== "object" || value === null || found.has(value)) return found;
  found.add(value);
  if (value instanceof Uint8Array) found.add(value.buffer);
  else for (const member of Object.values(value)) objectsIn(member, found);
  return found;
}

function shared(a: Set<object>, b: Set<object>): object[] {
  return [...a].filter((object) => b.has(object));
}
