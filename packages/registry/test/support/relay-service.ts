import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

export type Parcel = Message<"cpg.test.v1.Parcel"> & { text: string; count: number };

const { OPTIONAL } = FieldDescriptorProto_Label;
const { STRING, UINT32 } = FieldDescriptorProto_Type;
const parcel = ".cpg.test.v1.Parcel";
const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
  name,
  clientStreaming,
  serverStreaming,
  inputType: parcel,
  outputType: parcel,
});

// What protoc-gen-es would generate, without a .proto that the package's own generation would have to know.
const file = fileDesc(
  base64Encode(
    toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: "cpg/test/v1/relay.proto",
        package: "cpg.test.v1",
        syntax: "proto3",
        messageType: [
          {
            name: "Parcel",
            field: [
              { name: "text", jsonName: "text", number: 1, type: STRING, label: OPTIONAL },
              { name: "count", jsonName: "count", number: 2, type: UINT32, label: OPTIONAL },
            ],
          },
        ],
        service: [
          {
            name: "RelayService",
            method: [
              method("Unary", false, false),
              method("ServerStream", false, true),
              method("ClientStream", true, false),
              method("BidiStream", true, true),
            ],
          },
        ],
      }),
    ),
    "std_raw",
  ),
);

export const ParcelSchema: GenMessage<Parcel> = messageDesc(file, 0);

/** One method of each kind. */
export const RelayService: GenService<{
  unary: { methodKind: "unary"; input: typeof ParcelSchema; output: typeof ParcelSchema };
  serverStream: { methodKind: "server_streaming"; input: typeof ParcelSchema; output: typeof ParcelSchema };
  clientStream: { methodKind: "client_streaming"; input: typeof ParcelSchema; output: typeof ParcelSchema };
  bidiStream: { methodKind: "bidi_streaming"; input: typeof ParcelSchema; output: typeof ParcelSchema };
}> = serviceDesc(file, 0);
