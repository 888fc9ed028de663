import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";

export type Echo = Message<"cpg.test.v1.Echo"> & {
  text: string;
  data: Uint8Array;
  count: number;
};

const field = (name: string, number: number, type: FieldDescriptorProto_Type) => ({
  name,
  number,
  type,
  jsonName: name,
  label: FieldDescriptorProto_Label.OPTIONAL,
});
const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
  name,
  clientStreaming,
  serverStreaming,
  inputType: ".cpg.test.v1.Echo",
  outputType: ".cpg.test.v1.Echo",
});

// What protoc-gen-es would generate, without a .proto that the package's own generation would have to know.
const file = fileDesc(
  base64Encode(
    toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: "cpg/test/v1/echo.proto",
        package: "cpg.test.v1",
        syntax: "proto3",
        messageType: [
          {
            name: "Echo",
            field: [
              field("text", 1, FieldDescriptorProto_Type.STRING),
              field("data", 2, FieldDescriptorProto_Type.BYTES),
              field("count", 3, FieldDescriptorProto_Type.UINT32),
            ],
          },
        ],
        service: [
          {
            name: "EchoService",
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

export const EchoSchema: GenMessage<Echo> = messageDesc(file, 0);

/** One method of each kind; `createEcho` says what they do. */
export const EchoService: GenService<{
  unary: { methodKind: "unary"; input: typeof EchoSchema; output: typeof EchoSchema };
  serverStream: { methodKind: "server_streaming"; input: typeof EchoSchema; output: typeof EchoSchema };
  clientStream: { methodKind: "client_streaming"; input: typeof EchoSchema; output: typeof EchoSchema };
  bidiStream: { methodKind: "bidi_streaming"; input: typeof EchoSchema; output: typeof EchoSchema };
}> = serviceDesc(file, 0);

/**
 * unary: the message itself. serverStream: `count` copies of it, numbered from 1. clientStream: the texts joined, and how
 * many there were. bidiStream: each message itself.
 */
export function createEcho(): ServiceImpl<typeof EchoService> {
  return {
    unary: (request) => request,
    async *serverStream(request) {
      for (let count = 1; count <= request.count; count++) yield { ...request, count };
    },
    async clientStream(requests) {
      const texts: string[] = [];
      for await (const { text } of requests) texts.push(text);
      return create(EchoSchema, { text: texts.join(""), count: texts.length });
    },
    async *bidiStream(requests) {
      yield* requests;
    },
  };
}
