// Opens a listener, leaves it with connections in every state and closes it: the process has to end by itself.
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { openListener } from "../../src/listener/listener.ts";
import { connectRaw } from "./raw-client.ts";

let calls = 0;
const two = Promise.withResolvers<void>();
const listener = await openListener({
  address: { port: 0 },
  handler: () => {
    calls += 1;
    if (calls === 2) two.resolve();
  },
});
const silent = await connectRaw(listener.address);
const http1 = await connectRaw(listener.address);
http1.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
const session = connectHttp2(listener.endpoint);
session.on("error", () => {});
session.request().on("error", () => {});
const idleSession = connectHttp2(listener.endpoint);
idleSession.on("error", () => {});
await Promise.all([two.promise, once(idleSession, "remoteSettings")]);
await listener.close();
await Promise.all([silent.closed, http1.closed]);
process.stdout.write("closed\n");
