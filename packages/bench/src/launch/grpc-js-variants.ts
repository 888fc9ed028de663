import { create } from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { type Item, ListRequestSchema } from "../gen/bench/v1/echo_pb.ts";
import type { Variant } from "../table.ts";
import { itemCases } from "./echo-cases.ts";
import { forkServer } from "./forked-server.ts";
import { echoDefinition } from "./grpc-js-definition.ts";

/** @grpc/grpc-js on both sides. */
export const grpcJsVariants: readonly Variant[] = (["unix", "tcp"] as const).map((socket) => ({
  name: `@grpc/grpc-js, ${socket === "unix" ? "Unix socket" : "TCP"}`,
  async setup() {
    const server = await forkServer(new URL("./grpc-js-main.ts", import.meta.url), [socket]);
    const client = new Client(server.address, credentials.createInsecure());
    return {
      cases: itemCases(echoClient(client), "elsewhere"),
      async close() {
        client.close();
        await server.close();
      },
    };
  },
}));

function echoClient(client: Client) {
  const { echo, list } = echoDefinition;
  return {
    echo: (item: Item) =>
      new Promise<Item>((resolve, reject) => {
        const settle = (error: ServiceError | null, answer?: Item) => {
          if (answer === undefined) reject(error ?? new Error("neither an answer nor an error"));
          else resolve(answer);
        };
        client.makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, item, settle);
      }),
    list: (request: { count: number }): AsyncIterable<Item> =>
      client.makeServerStreamRequest(
        list.path,
        list.requestSerialize,
        list.responseDeserialize,
        create(ListRequestSchema, request),
      ),
  };
}
