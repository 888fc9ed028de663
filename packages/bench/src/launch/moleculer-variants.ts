import { equals } from "@bufbuild/protobuf";
import { type Item, ItemSchema } from "../gen/bench/v1/echo_pb.ts";
import type { Variant } from "../table.ts";
import { echoCases } from "./echo-cases.ts";
import { forkServer } from "./forked-server.ts";
import { largeItem, smallItem } from "./item.ts";
import {
  addEchoAction,
  createLocalBroker,
  createTcpBroker,
  type JsonItem,
  startOnLoopback,
} from "./moleculer-broker.ts";

export const moleculerLocal = "Moleculer, local";

const action = "echo.echo";

/** A broker that calls an action of its own: the message is handed over as it is. */
export const moleculerLocalVariant: Variant = {
  name: moleculerLocal,
  async setup() {
    const broker = createLocalBroker();
    addEchoAction(broker);
    await broker.start();
    return {
      cases: echoCases(
        {
          echo: (item: Item) => broker.call<Item, Item>(action, item),
          small: smallItem,
          large: largeItem,
          isSame: (answer, item) => equals(ItemSchema, answer, item),
        },
        "here",
      ),
      close: () => broker.stop(),
    };
  },
};

/** Two brokers, two processes. It has no streams of messages. */
export const moleculerTcpVariant: Variant = {
  name: "Moleculer, TCP",
  async setup() {
    const server = await forkServer(new URL("./moleculer-main.ts", import.meta.url), []);
    const { broker } = createTcpBroker(Number(server.address));
    await startOnLoopback(broker);
    await broker.waitForServices("echo");
    return {
      cases: echoCases(
        {
          echo: (item: JsonItem) => broker.call<JsonItem, JsonItem>(action, item),
          small: asJson(smallItem),
          large: asJson(largeItem),
          isSame: (answer, item) => JSON.stringify(answer) === JSON.stringify(item),
        },
        "elsewhere",
      ),
      async close() {
        await broker.stop();
        await server.close();
      },
    };
  },
};

function asJson({ key, value, revision, tags }: Item): JsonItem {
  return { key, value: Buffer.from(value).toString("base64"), revision: String(revision), tags };
}
