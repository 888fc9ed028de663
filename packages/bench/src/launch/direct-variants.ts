import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { ItemSchema, ListRequestSchema } from "../gen/bench/v1/echo_pb.ts";
import type { Variant } from "../table.ts";
import { itemCases } from "./echo-cases.ts";
import { echoService } from "./echo-service.ts";

export const directCall = "direct call";
export const serialization = "serialisation round trip";

/** The implementation called as the object it is: what no transport can be cheaper than. */
export const directVariant: Variant = {
  name: directCall,
  setup: async () => ({
    cases: itemCases(echoService, "here"),
    close: () => Promise.resolve(),
  }),
};

/** A direct call whose messages are all written to bytes and read again, as any wire has it; but without the wire. */
export const serializationVariant: Variant = {
  name: serialization,
  setup: async () => ({
    cases: itemCases(
      {
        echo: async (item) => throughBytes(ItemSchema, await echoService.echo(throughBytes(ItemSchema, item))),
        async *list(request) {
          const received = throughBytes(ListRequestSchema, create(ListRequestSchema, request));
          for await (const item of echoService.list(received)) yield throughBytes(ItemSchema, item);
        },
      },
      "here",
    ),
    close: () => Promise.resolve(),
  }),
};

function throughBytes<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): MessageShape<Desc> {
  return fromBinary(schema, toBinary(schema, message));
}
