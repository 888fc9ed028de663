// The echo service on Connect's own adapter and Node's own server: connect-node-main.ts unix|tcp 1.1|2
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import { echoService } from "./echo-service.ts";
import { listenLocally } from "./listen-locally.ts";
import { tellAddress } from "./tell-address.ts";

const [socket, httpVersion] = process.argv.slice(2);
const adapter = connectNodeAdapter({
  routes: (router) => router.service(EchoService, echoService),
  acceptCompression: [], // our server does not compress on one machine either
});
// Between two batches a connection is idle for longer than the 5 s after which Node closes it, maybe as a call begins.
const keepAliveTimeout = 600_000;
const server = httpVersion === "2" ? createHttp2Server(adapter) : createHttp1Server({ keepAliveTimeout }, adapter);
// Open connections would hold close() up; they end with the process.
tellAddress(await listenLocally(server, socket === "unix" ? "unix" : "tcp"), () => void server.close());
