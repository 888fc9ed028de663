import { isDeepStrictEqual } from "node:util";
import { create, type DescMessage, fromBinary, isFieldSet, type Message, toBinary } from "@bufbuild/protobuf";
import { scalarZeroValue } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import fc from "fast-check";
import { expect } from "vitest";
import { collect } from "../support/collect.ts";
import { type Dialect, messageOf } from "../support/every-field.ts";
import { StepSchema } from "./contract-messages.ts";
import { everyServices } from "./contract-plugin.ts";
import { stream } from "./kinds.ts";
import type { ContractCase, Subject } from "./subject.ts";
import { seen } from "./witnessed.ts";

const dialects: readonly Dialect[] = ["proto2", "proto3", "editions"];
const samples = 12;
const { EXPLICIT, LEGACY_REQUIRED } = FeatureSet_FieldPresence;

type EveryCall = (client: EveryClient, message: Message) => Promise<Message | undefined>;
/** Its descriptors are made at run time: the compiler knows nothing of its messages. */
interface EveryClient {
  unary(message: Message): Promise<Message>;
  serverStream(message: Message): AsyncIterable<Message>;
  clientStream(messages: AsyncIterable<Message>): Promise<Message>;
  bidiStream(messages: AsyncIterable<Message>): AsyncIterable<Message>;
}

const everyCalls: { kind: string; bidi?: boolean; call: EveryCall }[] = [
  { kind: "unary", call: (client, message) => client.unary(message) },
  { kind: "server stream", call: async (client, message) => (await collect(client.serverStream(message)))[0] },
  { kind: "client stream", call: (client, message) => client.clientStream(stream(message)) },
  {
    kind: "bidi stream",
    bidi: true,
    call: async (client, message) => (await collect(client.bidiStream(stream(message))))[0],
  },
];

async function everyClient({ plugin }: Subject, dialect: Dialect): Promise<EveryClient> {
  const client: Client<(typeof everyServices)[Dialect]["service"]> = await plugin.dispense(dialect);
  return client as unknown as EveryClient;
}

const fidelity = dialects.flatMap((dialect) =>
  everyCalls.map(
    ({ kind, bidi = false, call }): ContractCase => ({
      title: `messages of every field kind in ${dialect}, unknown fields included, come back as sent (${kind})`,
      bidi,
      async run(subject) {
        const { schema } = everyServices[dialect];
        const client = await everyClient(subject, dialect);
        for (const message of fc.sample(messageOf(schema), { numRuns: samples, seed: 20_26 })) {
          const sent = toBinary(schema, message);
          const arrived = await call(client, message);
          expect(arrived !== undefined && bytesEqual(toBinary(schema, arrived), sent)).toBe(true);
          expect(isDeepStrictEqual(arrived, subject.traits.byReference ? message : fromBinary(schema, sent))).toBe(
            true,
          );
        }
      },
    }),
  ),
);

const presence = dialects.map(
  (dialect): ContractCase => ({
    title: `an unset field stays unset, one set to its default stays set, in ${dialect}`,
    async run(subject) {
      const { schema } = everyServices[dialect];
      const client = await everyClient(subject, dialect);
      const explicit = schema.fields.filter(
        ({ presence: rule, fieldKind, oneof }) => rule === EXPLICIT && fieldKind === "scalar" && oneof === undefined,
      );
      const init = requiredFields(schema);
      const unset = create(schema, init as never);
      const set = create(schema, { ...init, ...Object.fromEntries(explicit.map(defaultOf)) } as never);
      expect(fieldsSet(schema, await client.unary(unset))).toEqual(fieldsSet(schema, unset));
      expect(fieldsSet(schema, await client.unary(set))).toEqual(fieldsSet(schema, set));
      expect(fieldsSet(schema, set).length).toBeGreaterThan(fieldsSet(schema, unset).length);
    },
  }),
);

const isolation: ContractCase[] = [
  {
    title: "what the caller changes after sending, the handler does not see, unless by reference",
    async run({ contract, witness, traits, key }) {
      const request = create(StepSchema, { act: "gate", key, text: "as it was sent", data: new Uint8Array(2) });
      const answered = contract.unary(request);
      await seen({ witness }, `${key} started`);
      request.text = "changed";
      request.data.fill(9);
      await witness.open({ key });
      const { text, data } = await answered;
      expect([text, [...data]]).toEqual(traits.byReference ? ["changed", [9, 9]] : ["as it was sent", [0, 0]]);
    },
  },
  {
    title: "what the handler does to its request, the caller does not see, unless by reference",
    async run({ contract, traits }) {
      const request = create(StepSchema, { act: "change the request", text: "mine", data: new Uint8Array(2) });
      await contract.unary(request);
      expect([request.text, [...request.data]]).toEqual(
        traits.byReference ? ["changed by the handler", [9, 9]] : ["mine", [0, 0]],
      );
    },
  },
  {
    title: "what the handler does to its answer after sending, the caller does not see, unless by reference",
    async run({ contract, witness, traits, key }) {
      const answer = await contract.unary({ act: "change the answer", key });
      await witness.open({ key });
      await seen({ witness }, `${key} changed`);
      const { text, data, facts } = answer;
      expect([text, [...data], facts.a]).toEqual(
        traits.byReference ? ["changed by the handler", [9, 9, 9], "2"] : ["as it was sent", [0, 0, 0], "1"],
      );
    },
  },
  {
    title: "what the caller does to an answer does not reach the plugin: the next answer is as before",
    async run({ contract }) {
      const first = await contract.unary({ facts: { a: "1" }, data: new Uint8Array(2) });
      first.facts.a = "2";
      first.data.fill(9);
      const second = await contract.unary({ facts: { a: "1" }, data: new Uint8Array(2) });
      expect([second.facts.a, [...second.data]]).toEqual(["1", [0, 0]]);
    },
  },
];

export const messageCases: readonly ContractCase[] = [...fidelity, ...presence, ...isolation];

function requiredFields(schema: DescMessage): Record<string, unknown> {
  return Object.fromEntries(schema.fields.filter(({ presence: rule }) => rule === LEGACY_REQUIRED).map(defaultOf));
}

function defaultOf(field: DescMessage["fields"][number]): [string, unknown] {
  if (field.fieldKind !== "scalar") throw new Error(`${field} is no scalar`);
  return [field.localName, scalarZeroValue(field.scalar, field.longAsString)];
}

function fieldsSet(schema: DescMessage, message: Message): string[] {
  return schema.fields.filter((field) => isFieldSet(message, field)).map(({ name }) => name);
}

function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
