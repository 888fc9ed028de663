// The echo service on @grpc/grpc-js: grpc-js-main.ts unix|tcp

import { once } from "node:events";
import { promisify } from "node:util";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Item, ListRequest } from "../gen/bench/v1/echo_pb.ts";
import { echoService } from "./echo-service.ts";
import { echoDefinition } from "./grpc-js-definition.ts";
import { socketPath } from "./listen-locally.ts";
import { tellAddress } from "./tell-address.ts";

const path = process.argv[2] === "unix" ? socketPath() : undefined;
const server = new Server();
server.addService(echoDefinition, {
  echo(call: ServerUnaryCall<Item, Item>, callback: sendUnaryData<Item>) {
    echoService.echo(call.request).then(
      (item) => callback(null, item),
      (reason: Error) => callback(reason),
    );
  },
  list(call: ServerWritableStream<ListRequest, Item>) {
    writeAll(call).catch((reason: Error) => call.destroy(reason));
  },
});

async function writeAll(call: ServerWritableStream<ListRequest, Item>): Promise<void> {
  for await (const item of echoService.list(call.request)) {
    if (!call.write(item)) await once(call, "drain");
  }
  call.end();
}

const bind = promisify((address: string, done: (error: Error | null, port: number) => void) =>
  server.bindAsync(address, ServerCredentials.createInsecure(), done),
);
const port = await bind(path === undefined ? "127.0.0.1:0" : `unix:${path}`);
tellAddress(path === undefined ? `127.0.0.1:${port}` : `unix:${path}`, () => server.forceShutdown());
