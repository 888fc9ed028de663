import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import { EchoService, type Item, ItemSchema, type ListRequest, ListRequestSchema } from "../gen/bench/v1/echo_pb.ts";

const items = codec(ItemSchema);
const listRequests = codec(ListRequestSchema);

/** The echo service as grpc-js wants it, on the messages of protobuf-es, as in every other variant. */
export const echoDefinition: {
  readonly echo: MethodDefinition<Item, Item>;
  readonly list: MethodDefinition<ListRequest, Item>;
} = {
  echo: {
    path: `/${EchoService.typeName}/${EchoService.method.echo.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: items.serialize,
    requestDeserialize: items.deserialize,
    responseSerialize: items.serialize,
    responseDeserialize: items.deserialize,
  },
  list: {
    path: `/${EchoService.typeName}/${EchoService.method.list.name}`,
    requestStream: false,
    responseStream: true,
    requestSerialize: listRequests.serialize,
    requestDeserialize: listRequests.deserialize,
    responseSerialize: items.serialize,
    responseDeserialize: items.deserialize,
  },
};

function codec<Desc extends DescMessage>(schema: Desc) {
  return {
    serialize(message: MessageShape<Desc>): Buffer {
      const { buffer, byteOffset, byteLength } = toBinary(schema, message);
      return Buffer.from(buffer, byteOffset, byteLength);
    },
    deserialize: (bytes: Buffer): MessageShape<Desc> => fromBinary(schema, bytes),
  };
}
