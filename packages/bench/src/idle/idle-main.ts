// Holds idle connections, and tells at /memory how much memory it has in use: idle-main.ts host|http2
import { createServer } from "node:http2";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { serve } from "@cpg/core";
import { createRegistry } from "@cpg/registry";
import { listenLocally } from "../launch/listen-locally.ts";
import { tellAddress } from "../launch/tell-address.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** Bytes on the heap and in buffers, once nothing is left to collect. */
function usedBytes(): string {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return String(heapUsed + external);
}

if (process.argv[2] === "host") {
  const host = await serve({
    plugins: {},
    impls: {},
    extensions: [createRegistry()],
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
    handshakeRate: { perSecond: 100_000, burst: 100_000, perSecondPerName: 100_000, burstPerName: 100_000 },
    httpRoutes: [{ path: "/memory", handle: (_request, response) => void response.end(usedBytes()) }],
  });
  tellAddress(new URL(host.endpoint).host, () => host.close({ graceMs: 0 }));
} else {
  const server = createServer();
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.resume();
    stream.on("end", () => {
      stream.respond({ ":status": 200 });
      stream.end(headers[":path"] === "/memory" ? usedBytes() : "{}");
    });
  });
  tellAddress(await listenLocally(server, "tcp"), () => void server.close());
}
