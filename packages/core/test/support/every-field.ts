import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  Edition,
  type FeatureSet,
  FeatureSet_FieldPresence,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
  isWrapperDesc,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

export type Dialect = "proto2" | "proto3" | "editions";

const { OPTIONAL, REPEATED, REQUIRED } = FieldDescriptorProto_Label;
const { MESSAGE, ENUM } = FieldDescriptorProto_Type;
const scalarTypes = Array.from({ length: 18 }, (_, index) => index + 1).filter((type) => ![10, 11, 14].includes(type));

/** A message type with fields of every kind, and a service with a method of every kind that takes and gives it. */
export function everyField(dialect: Dialect): { schema: DescMessage; service: DescService } {
  const pkg = `cpg.test.${dialect}`;
  let number = 0;
  const field = (name: string, type: number, label: FieldDescriptorProto_Label, extra: object = {}) => {
    number++;
    return { name, jsonName: name, number, type: type as FieldDescriptorProto_Type, label, ...extra };
  };
  const singular = dialect === "proto2" ? [OPTIONAL, REQUIRED] : [OPTIONAL];
  const presence = (value: FeatureSet_FieldPresence) => ({
    options: { features: { fieldPresence: value } as FeatureSet },
  });
  const scalars = scalarTypes.flatMap((type) => [
    ...singular.map((label) => field(`s${type}_${label}`, type, label)),
    ...(dialect === "proto3" ? [field(`o${type}`, type, OPTIONAL, { proto3Optional: true, oneofIndex: 0 })] : []),
    ...(dialect === "editions"
      ? [
          field(`i${type}`, type, OPTIONAL, presence(FeatureSet_FieldPresence.IMPLICIT)),
          field(`r${type}`, type, OPTIONAL, presence(FeatureSet_FieldPresence.LEGACY_REQUIRED)),
        ]
      : []),
    field(`l${type}`, type, REPEATED),
    field(`c${type}`, type, OPTIONAL, { oneofIndex: 0 }),
  ]);
  const keyTypes = scalarTypes.filter((type) => ![1, 2, 12].includes(type));
  const entry = (name: string, key: number, value: object) => ({
    name,
    field: [
      { name: "key", jsonName: "key", number: 1, type: key, label: OPTIONAL },
      { name: "value", jsonName: "value", number: 2, label: OPTIONAL, ...value },
    ],
    options: { mapEntry: true },
  });
  const maps = keyTypes.map((key, index) => ({
    key,
    value:
      index % 3 === 0
        ? { type: MESSAGE, typeName: `.${pkg}.Leaf` }
        : index % 3 === 1
          ? { type: ENUM, typeName: `.${pkg}.Color` }
          : { type: scalarTypes[index] },
  }));
  const typed = [
    field("leaf", MESSAGE, OPTIONAL, { typeName: `.${pkg}.Leaf` }),
    field("leaves", MESSAGE, REPEATED, { typeName: `.${pkg}.Leaf` }),
    field("leaf_case", MESSAGE, OPTIONAL, { typeName: `.${pkg}.Leaf`, oneofIndex: 0 }),
    field("color", ENUM, OPTIONAL, { typeName: `.${pkg}.Color` }),
    field("colors", ENUM, REPEATED, { typeName: `.${pkg}.Color` }),
    field("color_case", ENUM, OPTIONAL, { typeName: `.${pkg}.Color`, oneofIndex: 0 }),
    field("json", MESSAGE, OPTIONAL, { typeName: ".google.protobuf.Struct" }),
    field("any_json", MESSAGE, OPTIONAL, { typeName: ".google.protobuf.Value" }),
    field("wrapped_text", MESSAGE, OPTIONAL, { typeName: ".google.protobuf.StringValue" }),
    field("wrapped_bytes", MESSAGE, OPTIONAL, { typeName: ".google.protobuf.BytesValue" }),
    field("wrapped_long", MESSAGE, OPTIONAL, { typeName: ".google.protobuf.Int64Value" }),
    field("wrapped_list", MESSAGE, REPEATED, { typeName: ".google.protobuf.StringValue" }),
    field("js_string", FieldDescriptorProto_Type.INT64, OPTIONAL, { options: { jstype: 1 } }),
  ];
  const optionals = scalars.filter((made) => "proto3Optional" in made);
  for (const [index, made] of optionals.entries()) Object.assign(made, { oneofIndex: index + 1 });
  const all = {
    name: "Every",
    field: [
      ...scalars,
      ...typed,
      ...maps.map((_, index) => field(`m${index}`, MESSAGE, REPEATED, { typeName: `.${pkg}.Every.M${index}Entry` })),
    ],
    nestedType: maps.map(({ key, value }, index) => entry(`M${index}Entry`, key, value)),
    oneofDecl: [{ name: "choice" }, ...optionals.map(({ name }) => ({ name: `_${name}` }))],
  };
  const leaf = {
    name: "Leaf",
    field: [
      { name: "text", jsonName: "text", number: 1, type: FieldDescriptorProto_Type.STRING, label: OPTIONAL },
      { name: "data", jsonName: "data", number: 2, type: FieldDescriptorProto_Type.BYTES, label: OPTIONAL },
      { name: "next", jsonName: "next", number: 3, type: MESSAGE, label: OPTIONAL, typeName: `.${pkg}.Leaf` },
    ],
  };
  const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
    name,
    clientStreaming,
    serverStreaming,
    inputType: `.${pkg}.Every`,
    outputType: `.${pkg}.Every`,
  });
  const file: FileDescriptorProto = create(FileDescriptorProtoSchema, {
    name: `cpg/test/${dialect}.proto`,
    package: pkg,
    syntax: dialect,
    ...(dialect === "editions" && { edition: Edition.EDITION_2023 }),
    dependency: ["google/protobuf/struct.proto", "google/protobuf/wrappers.proto"],
    messageType: [all as never, leaf as never],
    enumType: [
      {
        name: "Color",
        value: [
          { name: "NONE", number: 0 },
          { name: "RED", number: 1 },
          { name: "BACK", number: -1 },
        ],
      },
    ],
    service: [
      {
        name: "EveryService",
        method: [
          method("Unary", false, false),
          method("ServerStream", false, true),
          method("ClientStream", true, false),
          method("BidiStream", true, true),
        ],
      },
    ],
  });
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, {
      file: [file_google_protobuf_struct.proto, file_google_protobuf_wrappers.proto, file],
    }),
  );
  const schema = registry.getMessage(`${pkg}.Every`);
  const service = registry.getService(`${pkg}.EveryService`);
  if (schema === undefined || service === undefined) throw new Error(`${dialect} has no descriptors`);
  return { schema, service };
}

/** The methods of `EveryService`, by their kind. */
export function methodsOf({ method }: DescService) {
  return {
    unary: method.unary as DescMethodUnary,
    serverStream: method.serverStream as DescMethodServerStreaming,
    clientStream: method.clientStream as DescMethodClientStreaming,
    bidiStream: method.bidiStream as DescMethodBiDiStreaming,
  };
}

/** Random messages of any type, nested ones included; unknown fields on some. */
export function messageOf(desc: DescMessage, depth = 0): fc.Arbitrary<Message> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  const required: string[] = [];
  for (const member of desc.members) {
    if (member.kind === "oneof") {
      const cases = member.fields.map((field) =>
        fieldValueOf(field, depth).map((value) => ({ case: field.localName, value })),
      );
      members[member.localName] = fc.oneof(fc.constant({ case: undefined }), ...cases);
    } else if (member.fieldKind !== "message" || depth < 2) {
      members[member.localName] = fieldValueOf(member, depth);
      if (member.presence === 3) required.push(member.localName);
    }
  }
  const unknown = fc.array(
    fc.record({
      no: fc.integer({ min: 2_000, max: 3_000 }),
      wireType: fc.constant(0),
      data: fc.constant(Uint8Array.of(7)),
    }),
    { maxLength: 1 },
  );
  return fc.tuple(fc.record(members, { requiredKeys: required }), unknown).map(([init, $unknown]) => {
    const message = create(desc, init as never);
    return $unknown.length > 0 ? Object.assign(message, { $unknown }) : message;
  });
}

function fieldValueOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field.scalar, field.longAsString);
    case "enum":
      return fc.constantFrom(0, 1, -1, ...(field.enum.open ? [17] : []));
    case "list":
      return fc.array(elementOf(field, depth), { maxLength: 3 });
    case "map":
      return fc.dictionary(
        scalarOf(field.mapKey, false).map((key) => String(key)),
        elementOf(field, depth),
        { maxKeys: 3, noNullPrototype: true },
      );
    case "message":
      return !field.oneof && isWrapperDesc(field.message)
        ? scalarOf(field.message.fields[0].scalar, false)
        : elementOf(field, depth);
  }
}

function elementOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.scalar !== undefined) return scalarOf(field.scalar, false);
  if (field.enum !== undefined) return fc.constantFrom(0, 1, -1);
  if (field.message?.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value") {
    const text = fc.string({ unit: "grapheme" });
    return fc.dictionary(text, fc.jsonValue({ maxDepth: 2, stringUnit: "grapheme" }), {
      maxKeys: 3,
      noNullPrototype: true,
    });
  }
  if (field.message === undefined) throw new Error(`${field} has no type`);
  return depth < 2 ? messageOf(field.message, depth + 1) : fc.constant(create(field.message));
}

function scalarOf(type: ScalarType, longAsString: boolean): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.FLOAT:
      return fc.float();
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom("__proto__", "constructor", "\ufeff", "x".repeat(400)),
      );
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 });
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.integer();
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    default: {
      const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
      return longAsString ? long.map(String) : long;
    }
  }
}
