import { create, createFileRegistry, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageRule } from "../src/memory/message-rule.ts";
import { plainWeight, unclear } from "../src/memory/plain-weight.ts";
import { EchoSchema } from "./support/echo-service.ts";
import { everyField, messageOf } from "./support/every-field.ts";

const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;
const [MESSAGE, ENUM] = [11, 14];

/** What a plain message can have: fields of all types, alone, optional and in lists, messages, an open enum and a oneof. */
function plainFields(): DescMessage {
  let number = 0;
  const field = (name: string, type: number, label: FieldDescriptorProto_Label, extra: object = {}) => {
    number++;
    return { name, jsonName: name, number, type, label, ...extra };
  };
  const scalarTypes = Array.from({ length: 18 }, (_, index) => index + 1).filter(
    (type) => ![10, MESSAGE, ENUM].includes(type),
  );
  const optionals = scalarTypes.map((type, index) =>
    field(`o${type}`, type, OPTIONAL, { proto3Optional: true, oneofIndex: index + 1 }),
  );
  const file = create(FileDescriptorProtoSchema, {
    name: "cpg/test/plain.proto",
    package: "cpg.test.plain",
    syntax: "proto3",
    messageType: [
      {
        name: "Plain",
        field: [
          ...scalarTypes.map((type) => field(`s${type}`, type, OPTIONAL)),
          ...optionals,
          ...scalarTypes.map((type) => field(`l${type}`, type, REPEATED)),
          field("child", MESSAGE, OPTIONAL, { typeName: ".cpg.test.plain.Plain" }),
          field("children", MESSAGE, REPEATED, { typeName: ".cpg.test.plain.Plain" }),
          field("color", ENUM, OPTIONAL, { typeName: ".cpg.test.plain.Color" }),
          field("as_text", 3, REPEATED, { options: { jstype: 1 } }),
          field("choice_text", 9, OPTIONAL, { oneofIndex: 0 }),
          field("choice_child", MESSAGE, OPTIONAL, { oneofIndex: 0, typeName: ".cpg.test.plain.Plain" }),
        ] as never[],
        oneofDecl: [{ name: "choice" }, ...optionals.map(({ name }) => ({ name: `_${name}` }))],
      },
    ],
    enumType: [{ name: "Color", value: [{ name: "NONE", number: 0 }] }],
  });
  const schema = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] })).getMessage(
    "cpg.test.plain.Plain",
  );
  if (schema === undefined) throw new Error("no descriptor");
  return schema;
}

/** What the rule of a message says: the bytes that it has at most, or that it is refused. */
function ruled(desc: DescMessage, message: unknown): number | "refused" {
  const tally = { bytes: 0, depth: 0, serialize: false };
  try {
    messageRule(desc, false)(message, tally);
    return tally.bytes;
  } catch {
    return "refused";
  }
}

const strange = [
  undefined,
  null,
  0,
  -0,
  1.5,
  -1,
  2 ** 32,
  Number.NaN,
  2n ** 63n,
  -1n,
  "",
  "\ud800",
  true,
  {},
  [],
  [[]],
];
const schema = plainFields();
const names = schema.members.map(({ localName }) => localName);
const weigh = plainWeight(schema);

describe("what is plainly right by reference", () => {
  it("is right, and has at most the weight that it is given", () => {
    let plain = 0;
    fc.assert(
      fc.property(messageOf(schema), fc.subarray(names, { maxLength: 6 }), (all, some) => {
        const message = create(schema, Object.fromEntries(some.map((name) => [name, Reflect.get(all, name)])) as never);
        const weight = weigh?.(message) ?? unclear;
        if (weight === unclear) return;
        plain++;
        expect(ruled(schema, message)).not.toBe("refused");
        expect(weight).toBeGreaterThanOrEqual(toBinary(schema, message).byteLength);
      }),
      { numRuns: 300 },
    );
    expect(plain).toBeGreaterThan(50);
  });

  it("whatever takes the place of a field, nothing passes that the rule refuses", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names, "$typeName", "$unknown", "other"),
        fc.oneof(
          fc.constantFrom<unknown>(...strange),
          fc.array(fc.constantFrom<unknown>(...strange), { maxLength: 2 }),
        ),
        (name, value) => {
          const message = Object.assign(create(schema), { [name]: value });
          expect(weigh?.(message) !== unclear && ruled(schema, message) === "refused").toBe(false);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it.each<{ what: string; message: unknown; plain: boolean }>([
    { what: "an empty message", message: create(schema), plain: true },
    { what: "optional fields that are set", message: create(schema, { o9: "a", o5: 3 } as never), plain: true },
    { what: "a message in a message", message: create(schema, { child: { s9: "a" } } as never), plain: true },
    {
      what: "a set oneof",
      message: create(schema, { choice: { case: "choiceText", value: "" } } as never),
      plain: false,
    },
    { what: "unknown fields", message: Object.assign(create(schema), { $unknown: [] }), plain: false },
    { what: "what is no field", message: Object.assign(create(schema), { other: 1 }), plain: false },
    { what: "a message of another type", message: create(EchoSchema), plain: false },
    { what: "a message without a type", message: {}, plain: false },
    { what: "nothing", message: undefined, plain: false },
  ])("$what: $plain", ({ message, plain }) => {
    expect(weigh?.(message) !== unclear).toBe(plain);
  });

  it("a message that contains itself comes to an end", () => {
    const message: Message & { child?: Message } = create(schema);
    message.child = message;
    expect(weigh?.(message)).toBe(unclear);
  });

  it("types with maps, or with defaults in a prototype, are left to their rule", () => {
    expect(plainWeight(everyField("proto3").schema)).toBe(undefined);
    expect(plainWeight(everyField("proto2").schema)).toBe(undefined);
    expect(plainWeight(everyField("editions").schema)).toBe(undefined);
  });
});
