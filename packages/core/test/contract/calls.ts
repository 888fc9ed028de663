import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, anyUnpack, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { expect } from "vitest";
import { createServiceClient } from "../../src/client/service-client.ts";
import { collect } from "../support/collect.ts";
import { AbsentService, NewerContractService, StepSchema } from "./contract-messages.ts";
import { forKinds, kinds, stream } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";

type Full = MessageInitShape<typeof StepSchema>;

const fullStep = (bytes: number): Full => ({
  text: "zażółć gęślą jaźń 🐢\0",
  data: Uint8Array.from({ length: bytes }, (_, index) => index % 251),
  count: 3,
  facts: { a: "1", "": "empty key", constructor: "a trap" },
  payload: anyPack(StepSchema, create(StepSchema, { text: "packed" })),
  time: timestampFromMs(1_234_567_890_123),
  long: -(2n ** 63n),
});

const sizes = [
  { what: "an empty message", step: {} },
  { what: "a small message with every field", step: fullStep(10) },
  { what: "a message of 100 KB", step: fullStep(100_000) },
] satisfies { what: string; step: Full }[];

export const callCases: readonly ContractCase[] = [
  ...sizes.flatMap(({ what, step }): ContractCase[] => {
    const expected = create(StepSchema, step);
    return [
      {
        title: `${what} comes back (unary)`,
        async run({ contract }) {
          expect(await contract.unary(step)).toEqual(expected);
        },
      },
      {
        title: `${what} comes back, numbered (server stream)`,
        async run({ contract }) {
          const answers = await collect(contract.serverStream({ ...step, count: 3 }));
          expect(answers).toEqual([1, 2, 3].map((count) => ({ ...expected, count })));
        },
      },
      {
        title: `${what} arrives three times (client stream)`,
        async run({ contract }) {
          const answer = await contract.clientStream(stream(step, step, step));
          expect(answer).toMatchObject({ text: expected.text.repeat(3), count: 3 });
        },
      },
      {
        title: `${what} comes back three times (bidi stream)`,
        bidi: true,
        async run({ contract }) {
          expect(await collect(contract.bidiStream(stream(step, step, step)))).toEqual([expected, expected, expected]);
        },
      },
    ];
  }),
  {
    title: "an Any can be unpacked on arrival",
    async run({ contract }) {
      const { payload } = await contract.unary(fullStep(1));
      expect(payload && anyUnpack(payload, StepSchema)?.text).toBe("packed");
    },
  },
  {
    title: "bytes arrive in memory of their own size or more, readable to the end",
    async run({ contract }) {
      const { data } = await contract.unary({ data: Uint8Array.of(0, 255, 0) });
      expect([...data]).toEqual([0, 255, 0]);
    },
  },
  {
    title: "a part of a larger byte array arrives as that part",
    async run({ contract }) {
      const { data } = await contract.unary({ data: Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 3) });
      expect([...data]).toEqual([2, 3]);
    },
  },
  ...[2n ** 63n - 1n, -(2n ** 63n), 0n, 2n ** 53n + 1n].map(
    (long): ContractCase => ({
      title: `the 64 bit number ${long} arrives exactly`,
      async run({ contract }) {
        expect((await contract.unary({ long })).long).toBe(long);
      },
    }),
  ),
  {
    title: "200 calls at a time get each its own answer (unary)",
    async run({ contract }) {
      const texts = Array.from({ length: 200 }, (_, index) => `call ${index}`);
      const answers = await Promise.all(texts.map((text) => contract.unary({ text })));
      expect(answers.map(({ text }) => text)).toEqual(texts);
    },
  },
  ...forKinds("50 calls at a time get each its own answer", async ({ contract }, kind) => {
    const texts = Array.from({ length: 50 }, (_, index) => `call ${index}`);
    const answers = await Promise.all(texts.map((text) => kind.call(contract, { text }, {}, 1)));
    // A client stream says 1, then its own text.
    const last = answers.map((steps) => steps.at(-1)?.text);
    expect(last).toEqual(kind.kind === "client stream" ? texts.map((text) => `1${text}`) : texts);
  }),
  {
    title: "an empty request stream gets an answer",
    async run({ contract }) {
      expect(await contract.clientStream(stream())).toEqual(create(StepSchema));
    },
  },
  {
    title: "an empty response stream ends",
    async run({ contract }) {
      expect(await collect(contract.serverStream({}))).toEqual([]);
    },
  },
  {
    title: "an empty stream gets an empty stream",
    bidi: true,
    async run({ contract }) {
      expect(await collect(contract.bidiStream(stream()))).toEqual([]);
    },
  },
  {
    title: "1,000 messages arrive in their order (server stream)",
    async run({ contract }) {
      const counts = (await collect(contract.serverStream({ count: 1_000 }))).map(({ count }) => count);
      expect(counts).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
    },
  },
  {
    title: "1,000 messages arrive in their order (client stream)",
    async run({ contract }) {
      const texts = Array.from({ length: 1_000 }, (_, index) => `${index},`);
      const { text, count } = await contract.clientStream(stream(...texts.map((each) => ({ text: each }))));
      expect({ text, count }).toEqual({ text: texts.join(""), count: 1_000 });
    },
  },
  {
    title: "1,000 messages arrive in their order (bidi stream)",
    bidi: true,
    async run({ contract }) {
      const sent = Array.from({ length: 1_000 }, (_, count) => ({ count }));
      const counts = (await collect(contract.bidiStream(stream(...sent)))).map(({ count }) => count);
      expect(counts).toEqual(sent.map(({ count }) => count));
    },
  },
  ...forKinds("a service that is not served is unimplemented", async ({ plugin }, kind) => {
    const calls = plugin.openTransport();
    try {
      const client = createClient(AbsentService, calls.transport);
      await expect(kind.call(client, {})).rejects.toMatchObject({ code: Code.Unimplemented });
    } finally {
      await calls.close();
    }
  }),
  {
    title: "a method that only a later version has is unimplemented",
    async run({ plugin }) {
      const calls = plugin.openTransport();
      try {
        const client = createClient(NewerContractService, calls.transport);
        await expect(client.later({})).rejects.toMatchObject({ code: Code.Unimplemented });
        expect((await client.unary({ text: "still works" })).text).toBe("still works");
      } finally {
        await calls.close();
      }
    },
  },
  {
    title: "a field that only a later version has survives the way there and back",
    async run({ plugin }) {
      const calls = plugin.openTransport();
      try {
        const client = createServiceClient(NewerContractService, calls.transport);
        expect(await client.unary({ hint: "kept" })).toMatchObject({ hint: "kept" });
        const answers = await collect(client.serverStream({ hint: "kept", count: 2 }));
        expect(answers.map(({ hint }) => hint)).toEqual(["kept", "kept"]);
      } finally {
        await calls.close();
      }
    },
  },
  ...kinds.map(
    (kind): ContractCase => ({
      title: `an answer that cannot be sent is an internal error (${kind.kind})`,
      bidi: kind.bidi,
      async run({ contract }) {
        await expect(kind.call(contract, { act: "bad answer" })).rejects.toMatchObject({ code: Code.Internal });
      },
    }),
  ),
];
