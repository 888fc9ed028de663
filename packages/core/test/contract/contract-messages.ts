import { create, type Message, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  type Any,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_timestamp,
  type Timestamp,
} from "@bufbuild/protobuf/wkt";

/** Request and answer of every method: an order to the handler, or what it saw. `contract-handlers.ts` reads it. */
export type Step = Message<"cpg.contract.v1.Step"> & {
  text: string;
  data: Uint8Array;
  count: number;
  /** What the handler is to do. Empty: echo. */
  act: string;
  /** Under what the handler notes what happens to it. Empty: it notes nothing. */
  key: string;
  /** A `Code`. */
  code: number;
  facts: { [name: string]: string };
  payload?: Any;
  time?: Timestamp;
  long: bigint;
};
/** As a later version of the plugin has it. */
export type NewerStep = Message<"cpg.contract.v1.Step"> & Omit<Step, keyof Message> & { hint: string };

export type StepInit = MessageInitShape<typeof StepSchema>;

const { STRING, BYTES, UINT32, INT32, INT64, MESSAGE } = FieldDescriptorProto_Type;
const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;

const field = (name: string, number: number, type: FieldDescriptorProto_Type, extra: object = {}) => ({
  name,
  number,
  type,
  jsonName: name,
  label: OPTIONAL,
  ...extra,
});
const method = (name: string, clientStreaming = false, serverStreaming = false) => ({
  name,
  clientStreaming,
  serverStreaming,
  inputType: ".cpg.contract.v1.Step",
  outputType: ".cpg.contract.v1.Step",
});
const allKinds = [
  method("Unary"),
  method("ServerStream", false, true),
  method("ClientStream", true, false),
  method("BidiStream", true, true),
];

// What protoc-gen-es would generate, without a .proto that the package's own generation would have to know.
const contractFile = (newer: boolean) =>
  fileDesc(
    base64Encode(
      toBinary(
        FileDescriptorProtoSchema,
        create(FileDescriptorProtoSchema, {
          name: "cpg/contract/v1/contract.proto",
          package: "cpg.contract.v1",
          syntax: "proto3",
          dependency: ["google/protobuf/any.proto", "google/protobuf/timestamp.proto"],
          messageType: [
            {
              name: "Step",
              field: [
                field("text", 1, STRING),
                field("data", 2, BYTES),
                field("count", 3, UINT32),
                field("act", 4, STRING),
                field("key", 5, STRING),
                field("code", 6, INT32),
                field("facts", 7, MESSAGE, { label: REPEATED, typeName: ".cpg.contract.v1.Step.FactsEntry" }),
                field("payload", 8, MESSAGE, { typeName: ".google.protobuf.Any" }),
                field("time", 9, MESSAGE, { typeName: ".google.protobuf.Timestamp" }),
                field("long", 10, INT64),
                ...(newer ? [field("hint", 20, STRING)] : []),
              ],
              nestedType: [
                {
                  name: "FactsEntry",
                  field: [field("key", 1, STRING), field("value", 2, STRING)],
                  options: { mapEntry: true },
                },
              ],
            },
          ],
          service: [
            { name: "ContractService", method: newer ? [...allKinds, method("Later")] : allKinds },
            { name: "LayeredService", method: allKinds },
            { name: "WitnessService", method: [method("Seen"), method("Peek"), method("Open"), method("Log")] },
            { name: "AbsentService", method: allKinds },
          ],
        }),
      ),
      "std_raw",
    ),
    [file_google_protobuf_any, file_google_protobuf_timestamp],
  );

const file = contractFile(false);
const newerFile = contractFile(true);

type Unary = { methodKind: "unary"; input: typeof StepSchema; output: typeof StepSchema };
type AllKinds = {
  unary: Unary;
  serverStream: { methodKind: "server_streaming"; input: typeof StepSchema; output: typeof StepSchema };
  clientStream: { methodKind: "client_streaming"; input: typeof StepSchema; output: typeof StepSchema };
  bidiStream: { methodKind: "bidi_streaming"; input: typeof StepSchema; output: typeof StepSchema };
};

export const StepSchema: GenMessage<Step> = messageDesc(file, 0);
/** One method of each kind. */
export const ContractService: GenService<AllKinds> = serviceDesc(file, 0);
/** The same behind interceptors of the server. */
export const LayeredService: GenService<AllKinds> = serviceDesc(file, 1);
/** What handlers noted, and the gates at which they wait. */
export const WitnessService: GenService<{ seen: Unary; peek: Unary; open: Unary; log: Unary }> = serviceDesc(file, 2);
/** Served nowhere. */
export const AbsentService: GenService<AllKinds> = serviceDesc(file, 3);

export const NewerStepSchema: GenMessage<NewerStep> = messageDesc(newerFile, 0);
/** `ContractService` as a caller of a later version knows it: one more field, one more method. */
export const NewerContractService: GenService<{
  unary: { methodKind: "unary"; input: typeof NewerStepSchema; output: typeof NewerStepSchema };
  serverStream: { methodKind: "server_streaming"; input: typeof NewerStepSchema; output: typeof NewerStepSchema };
  later: { methodKind: "unary"; input: typeof NewerStepSchema; output: typeof NewerStepSchema };
}> = serviceDesc(newerFile, 0);
