import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { capabilityGrantKey } from "../../src/index.ts";

export type Note = Message<"cpg.test.v1.Note"> & { text: string };

const note = ".cpg.test.v1.Note";
const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
  name,
  clientStreaming,
  serverStreaming,
  inputType: note,
  outputType: note,
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
            name: "Note",
            field: [
              {
                name: "text",
                jsonName: "text",
                number: 1,
                type: FieldDescriptorProto_Type.STRING,
                label: FieldDescriptorProto_Label.OPTIONAL,
              },
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

const NoteSchema: GenMessage<Note> = messageDesc(file, 0);

interface Echo<Kind> {
  readonly methodKind: Kind;
  readonly input: typeof NoteSchema;
  readonly output: typeof NoteSchema;
}

/** One method of each kind. */
export const EchoService: GenService<{
  unary: Echo<"unary">;
  serverStream: Echo<"server_streaming">;
  clientStream: Echo<"client_streaming">;
  bidiStream: Echo<"bidi_streaming">;
}> = serviceDesc(file, 0);

/** Says everything back, after the name of the plugin that holds the grant. */
export const echo: ServiceImpl<typeof EchoService> = {
  unary: ({ text }, { values }) => ({ text: `${values.get(capabilityGrantKey)?.holder.selfId}: ${text}` }),
  async *serverStream({ text }, { values }) {
    yield { text: values.get(capabilityGrantKey)?.holder.selfId ?? "" };
    yield { text };
  },
  async clientStream(notes) {
    const texts: string[] = [];
    for await (const { text } of notes) texts.push(text);
    return { text: texts.join(" ") };
  },
  async *bidiStream(notes) {
    for await (const { text } of notes) yield { text };
  },
};
