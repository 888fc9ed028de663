import assert from "node:assert/strict";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Item, ItemSchema, ListRequestSchema } from "../gen/bench/v1/echo_pb.ts";
import type { Case, TimedCase, Variant } from "../table.ts";
import { itemCases } from "./echo-cases.ts";
import { measureNames } from "./echo-measures.ts";
import { echoService } from "./echo-service.ts";
import { largeItem, smallItem } from "./item.ts";

export const directCall = "direct call";
export const serialization = "serialisation round trip";

/** The implementation called as the object it is: what no transport can be cheaper than. */
export const directVariant: Variant = {
  name: directCall,
  setup: async () => ({
    // With loops of its own: in the ones that all variants share, the compiler cannot inline the call.
    cases: new Map<string, Case>([
      ...itemCases(echoService, { concurrent: false }),
      [measureNames.small, directEcho(smallItem)],
      [measureNames.large, directEcho(largeItem)],
    ]),
    close: () => Promise.resolve(),
  }),
};

function directEcho(item: Item): TimedCase {
  return {
    kind: "timed",
    check: async () => assert.equal(await echoService.echo(item), item),
    async run(calls) {
      let bytes = 0;
      for (let call = 0; call < calls; call++) bytes += (await echoService.echo(item)).value.length;
      assert.equal(bytes, calls * item.value.length);
    },
  };
}

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
      { concurrent: false },
    ),
    close: () => Promise.resolve(),
  }),
};

function throughBytes<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): MessageShape<Desc> {
  return fromBinary(schema, toBinary(schema, message));
}
