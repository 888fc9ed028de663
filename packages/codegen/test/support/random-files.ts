import { create, setExtension } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel,
  MethodOptionsSchema,
  ServiceDescriptorProtoSchema,
  ServiceOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import {
  method,
  MethodOptionsSchema as OurMethodOptionsSchema,
  PluginOptionsSchema,
  plugin,
} from "../../src/gen/cpg/options/v1/options_pb.ts";

// Names that mean something to JavaScript, to TypeScript, to protoc-gen-es or to us.
const tellingNames = [
  ..."abstract any as asserts async bigint boolean break case catch class const continue debugger declare default delete do".split(
    " ",
  ),
  ..."else enum export extends false finally for from function get if implements import in infer instanceof interface".split(
    " ",
  ),
  ..."is keyof let module namespace never new null number object of package private protected public readonly".split(
    " ",
  ),
  ..."require return satisfies set static string super switch symbol this throw true try type typeof unique unknown".split(
    " ",
  ),
  ..."var void while with yield Array AsyncIterable Object Partial Promise Record String Symbol Uint8Array".split(" "),
  ..."constructor toString toJSON valueOf hasOwnProperty Constructor ToString globalThis exports name length".split(
    " ",
  ),
  ..."KV Kv kv KVService KV_Service kvPlugin mockKV mockKv Service _Service Foo FooSchema FooService foo_bar".split(
    " ",
  ),
  ..."UnaryMethod MockMethods PluginDefinition generatedPlugin mockService CallContext GenService Message fileDesc".split(
    " ",
  ),
];

// protoc-gen-es makes of a service a constant and of a message a type of the same name: these it cannot make.
const noMessage = new Set("any as asserts await infer keyof never readonly symbol undefined unique unknown".split(" "));

const anyName = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...tellingNames) },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,6}$/) },
);

const comment = fc.option(
  fc.oneof(
    fc.constantFrom(" */ alert(1) /*", " // \u2028 `$`", " @deprecated\n\n @example \n```ts\n", "*/", " /** */ \\"),
    fc.string({ unit: "binary", maxLength: 20 }),
  ),
  { nil: undefined },
);

interface RandomMessage {
  readonly name: string;
  readonly nested: readonly RandomMessage[];
}

const messages = fc.letrec<{ messages: RandomMessage[] }>((tie) => ({
  messages: fc.uniqueArray(
    fc.record({
      name: anyName.filter((name) => !noMessage.has(name)),
      nested: fc.oneof({ maxDepth: 2 }, fc.constant([]), tie("messages")),
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 2 },
  ),
})).messages;

const validName = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
const version = fc.constantFrom("", "0.1.0", "1.2.3", "2.0.0-rc.1");

const pluginOptions = fc.record({
  name: fc.oneof(fc.constant(""), validName),
  version,
  provides: fc.uniqueArray(fc.record({ type: validName, version }), { selector: ({ type }) => type, maxLength: 2 }),
  requires: fc.uniqueArray(fc.record({ type: validName, minVersion: version, watchForChanges: fc.boolean() }), {
    selector: ({ type }) => type,
    maxLength: 2,
  }),
});

const randomMethod = fc.record({
  name: anyName,
  clientStreaming: fc.boolean(),
  serverStreaming: fc.boolean(),
  input: fc.nat(),
  output: fc.nat(),
  timeoutMs: fc.option(fc.integer({ min: 1, max: 2 ** 31 - 1 }), { nil: undefined }),
  idempotencyLevel: fc.constantFrom(
    MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN,
    MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
    MethodOptions_IdempotencyLevel.IDEMPOTENT,
  ),
  deprecated: fc.boolean(),
  comment,
});

const randomFile = fc.record({
  folder: fc.constantFrom("", "a/", "a-b/c.d/", "class/"),
  base: fc.constantFrom("kv", "kv.v1", "new-file", "_1"),
  inPackage: fc.constantFrom("", "v1", "class.new"),
  syntax: fc.constantFrom("proto2", "proto3"),
  comment,
  messages,
  services: fc.uniqueArray(
    fc.record({
      name: anyName,
      deprecated: fc.boolean(),
      comment,
      options: fc.option(pluginOptions, { nil: undefined }),
      methods: fc.uniqueArray(randomMethod, { selector: ({ name }) => name, maxLength: 4 }),
    }),
    { selector: ({ name }) => name, maxLength: 4 },
  ),
});

/**
 * One or two files that a compiler of .proto files accepts; the second can use the messages of the first. Names of files and
 * packages start with `prefix`, so that the files of several prefixes make one set.
 */
export const randomFiles = fc
  .array(randomFile, { minLength: 1, maxLength: 2 })
  .map((files) => (prefix: string): FileDescriptorProto[] => {
    const known: string[] = [];
    const names: string[] = [];
    return files.map((file, index) => {
      const name = `${prefix}/${file.folder}${file.base}${index}.proto`;
      const packageName = [prefix, `f${index}`, file.inPackage].filter((part) => part !== "").join(".");
      known.push(...typeNames(`.${packageName}`, file.messages));
      const taken = new Set(file.messages.map((message) => message.name));
      const descriptor = fileOf(name, packageName, file, [...known], [...names], taken);
      names.push(name);
      return descriptor;
    });
  });

type RandomFile = typeof randomFile extends fc.Arbitrary<infer Value> ? Value : never;

function fileOf(
  name: string,
  packageName: string,
  file: RandomFile,
  known: readonly string[],
  dependency: string[],
  taken: ReadonlySet<string>,
): FileDescriptorProto {
  const services = file.services.filter((service) => !taken.has(service.name));
  const noted = (path: number[], text: string | undefined) =>
    text === undefined ? [] : [{ path, span: [path.length, 0, 1], leadingComments: text, trailingComments: text }];
  return create(FileDescriptorProtoSchema, {
    name,
    package: packageName,
    syntax: file.syntax,
    dependency,
    messageType: file.messages.map((message) => messageOf(message, known)),
    service: services.map((service) => {
      const options = create(ServiceOptionsSchema, { deprecated: service.deprecated });
      if (service.options) setExtension(options, plugin, create(PluginOptionsSchema, service.options));
      return create(ServiceDescriptorProtoSchema, {
        name: service.name,
        options,
        method: service.methods.map(({ timeoutMs, deprecated, idempotencyLevel, comment: _, ...rest }) => {
          const methodOptions = create(MethodOptionsSchema, { deprecated, idempotencyLevel });
          if (timeoutMs !== undefined) {
            setExtension(methodOptions, method, create(OurMethodOptionsSchema, { timeoutMs }));
          }
          return create(MethodDescriptorProtoSchema, {
            ...rest,
            inputType: known[rest.input % known.length] ?? "",
            outputType: known[rest.output % known.length] ?? "",
            options: methodOptions,
          });
        }),
      });
    }),
    sourceCodeInfo: {
      location: [
        ...noted([12], file.comment),
        ...noted([2], file.comment),
        ...services.flatMap((service, index) => [
          ...noted([6, index], service.comment),
          ...service.methods.flatMap((rpc, at) => noted([6, index, 2, at], rpc.comment)),
        ]),
      ],
    },
  });
}

/** A message with a field of each kind that matters here: a scalar, a list, another message. */
function messageOf({ name, nested }: RandomMessage, known: readonly string[]): DescriptorProto {
  const { STRING, INT64, MESSAGE } = FieldDescriptorProto_Type;
  const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;
  const [typeName = ""] = known;
  return create(DescriptorProtoSchema, {
    name,
    field: [
      { name: "f1", number: 1, type: STRING, label: OPTIONAL },
      { name: "f2", number: 2, type: INT64, label: REPEATED },
      { name: "f3", number: 3, type: MESSAGE, label: OPTIONAL, typeName },
    ],
    nestedType: nested.filter((inner) => !/^f[123]$/.test(inner.name)).map((inner) => messageOf(inner, known)),
  });
}

function typeNames(scope: string, among: readonly RandomMessage[]): string[] {
  return among.flatMap(({ name, nested }) => {
    const typeName = `${scope}.${name}`;
    return [
      typeName,
      ...typeNames(
        typeName,
        nested.filter((inner) => !/^f[123]$/.test(inner.name)),
      ),
    ];
  });
}
