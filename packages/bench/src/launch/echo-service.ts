import { definePlugin } from "@cpg/core";
import { EchoService, type Item, type ListRequest } from "../gen/bench/v1/echo_pb.ts";
import { listItems } from "./item.ts";

/**
 * What every variant serves. It does next to nothing, so that what is measured is the way there and back: an echo is the
 * request itself, a stream hands out items that are there already.
 */
export const echoService = {
  async echo(item: Item): Promise<Item> {
    return item;
  },
  async *list({ count }: Pick<ListRequest, "count">): AsyncGenerator<Item, void, void> {
    for (let index = 0; index < count; index++) {
      const item = listItems[index];
      if (item === undefined) throw new RangeError(`count must be at most ${listItems.length}, got ${count}`);
      yield item;
    }
  },
};

export const echo = definePlugin({ name: "echo", version: "1.0.0", service: EchoService });
