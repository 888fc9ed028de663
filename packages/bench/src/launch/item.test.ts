import { toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ItemSchema } from "../gen/bench/v1/echo_pb.ts";
import { largeItem, listItems, smallItem } from "./item.ts";

describe("the items that are sent", () => {
  it("have the sizes that the tables tell", () => {
    expect(toBinary(ItemSchema, smallItem)).toHaveLength(95);
    expect(largeItem.value).toHaveLength(10 * 1024);
  });

  it("are all different in a stream", () => {
    expect(listItems.map(({ revision }) => Number(revision))).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1));
  });
});
