import { create } from "@bufbuild/protobuf";
import { type Item, ItemSchema } from "../gen/bench/v1/echo_pb.ts";

/** 95 bytes on the wire: what a small call carries, and then some. */
export const smallItem: Item = createItem(1_000_000, 32);

/** 10 KB of bytes. */
export const largeItem: Item = createItem(1_000_000, 10_240);

/** How many items a stream has. */
export const listLength = 1_000;

/** What a stream yields: small items, their revisions counted up from 1. */
export const listItems: readonly Item[] = Array.from({ length: listLength }, (_, index) => createItem(index + 1, 32));

function createItem(revision: number, valueBytes: number): Item {
  return create(ItemSchema, {
    key: "plugins/logger/settings/level",
    value: Uint8Array.from({ length: valueBytes }, (_, index) => index & 0xff),
    revision: BigInt(revision),
    tags: ["production", "eu-central-1"],
  });
}
