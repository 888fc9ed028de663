// The end of every row: a bare node:http2 server that sends back what it got, or so many messages: raw-echo-main.ts
import { constants, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { listenLocally } from "../launch/listen-locally.ts";
import { tellAddress } from "../launch/tell-address.ts";
import { listBytes, listHeader } from "./raw-calls.ts";

const message = Buffer.alloc(listBytes, "m");

function sendList(stream: ServerHttp2Stream, count: number): void {
  let left = count;
  const send = () => {
    while (left > 0) {
      left--;
      if (!stream.write(message)) {
        stream.once("drain", send);
        return;
      }
    }
    stream.end();
  };
  send();
}

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
  stream.on("error", () => stream.close(constants.NGHTTP2_CANCEL)); // the caller has gone
  const count = Number(headers[listHeader] ?? 0);
  if (count > 0) {
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "application/octet-stream" });
    sendList(stream, count);
    return;
  }
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/octet-stream" });
    const [only = Buffer.alloc(0)] = chunks;
    stream.end(chunks.length < 2 ? only : Buffer.concat(chunks));
  });
});
tellAddress(await listenLocally(server, "tcp"), () => void server.close());
