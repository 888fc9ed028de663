import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { getAuth } from "@cpg/auth";
import { peerKey } from "@cpg/resilience";

export type Who = Message<"cpg.test.v1.Who"> & {
  /** Who calls, in an answer. */
  identity: string;
  /** Fingerprint of the certificate of the connection, as Node has it. */
  fingerprint: string;
};

const field = (name: string, number: number) => ({
  name,
  number,
  jsonName: name,
  type: FieldDescriptorProto_Type.STRING,
  label: FieldDescriptorProto_Label.OPTIONAL,
});
const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
  name,
  clientStreaming,
  serverStreaming,
  inputType: ".cpg.test.v1.Who",
  outputType: ".cpg.test.v1.Who",
});

// What protoc-gen-es would generate, without a .proto that the package's own generation would have to know.
const file = fileDesc(
  base64Encode(
    toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: "cpg/test/v1/who.proto",
        package: "cpg.test.v1",
        syntax: "proto3",
        messageType: [{ name: "Who", field: [field("identity", 1), field("fingerprint", 2)] }],
        service: [{ name: "WhoService", method: [method("Unary", false, false), method("ServerStream", false, true)] }],
      }),
    ),
    "std_raw",
  ),
);

export const WhoSchema: GenMessage<Who> = messageDesc(file, 0);

export const WhoService: GenService<{
  unary: { methodKind: "unary"; input: typeof WhoSchema; output: typeof WhoSchema };
  serverStream: { methodKind: "server_streaming"; input: typeof WhoSchema; output: typeof WhoSchema };
}> = serviceDesc(file, 0);

/** Tells callers who they are. */
export function createWho(): ServiceImpl<typeof WhoService> {
  const tell = (context: HandlerContext) => ({
    identity: getAuth(context)?.identity ?? "nobody",
    fingerprint: context.values.get(peerKey)?.tls?.certificate()?.fingerprint256 ?? "none",
  });
  return {
    unary: (_, context) => tell(context),
    async *serverStream(_, context) {
      yield tell(context);
      yield tell(context);
    },
  };
}

/** Who the caller is, or the code of the error, by each kind of call. */
export async function askWho(client: Client<typeof WhoService>): Promise<readonly string[]> {
  const outcomeOf = async (call: () => Promise<string>) => {
    try {
      return await call();
    } catch (reason) {
      const { code, rawMessage } = ConnectError.from(reason);
      if (code === Code.Unauthenticated) return `${Code[code]}: ${rawMessage}`;
      return lost.includes(code) ? "no connection" : Code[code];
    }
  };
  return [
    await outcomeOf(async () => (await client.unary({})).identity),
    await outcomeOf(async () => {
      const seen: string[] = [];
      for await (const { identity } of client.serverStream({})) seen.push(identity);
      return seen.join("+");
    }),
  ];
}

// What transports make of a connection that was refused: Unavailable those of ours, the others connect-node's.
const lost: readonly Code[] = [Code.Unavailable, Code.Aborted, Code.Canceled, Code.Internal];
const refusal = "Unauthenticated: the call carries no valid credential";
export const refusedBoth = [refusal, refusal];
/** TLS let nobody in. */
export const noConnection = ["no connection", "no connection"];
export const knownAs = (identity: string) => [identity, `${identity}+${identity}`];
