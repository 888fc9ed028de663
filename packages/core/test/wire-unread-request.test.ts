import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { describe, expect, it } from "vitest";
import { openListener } from "../src/listener/listener.ts";
import { createRpcHandler } from "../src/wire/rpc-handler.ts";
import { createEcho, EchoService } from "./support/echo-service.ts";

function serve() {
  return openListener({
    address: { port: 0 },
    handler: createRpcHandler({
      routes: (router) => router.service(EchoService, createEcho()),
      maxMessageBytes: 1_000,
      fallback: (_, response) => void response.end("fallback"),
    }),
  });
}

const path = "/cpg.test.v1.EchoService/ClientStream";
const streaming = { "content-type": "application/connect+json" };
const chunk = Buffer.alloc(64 * 1024);

/** The beginning of a message that announces more than the server takes. */
function tooLong(): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(100 * 1024 * 1024, 1);
  return Buffer.concat([prefix, chunk]);
}

describe("a caller that is still sending when it is refused", () => {
  it("reads the answer over HTTP/1.1, and can use the connection again when it has sent the rest", async () => {
    await using listener = await serve();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = httpRequest(listener.endpoint + path, { agent, method: "POST", headers: streaming });
    call.write(tooLong());
    const [response] = await once(call, "response");
    let text = "";
    for await (const part of response) text += part.toString("latin1");
    expect(text).toContain("resource_exhausted");
    call.end(chunk);
    const second = httpRequest(`${listener.endpoint}/`, { agent });
    second.end();
    const [answer] = await once(second, "response");
    expect(answer.statusCode).toBe(200);
    answer.resume();
    await once(answer, "end");
    agent.destroy();
  });

  it("is cut off over HTTP/1.1 when it goes on and on", async () => {
    await using listener = await serve();
    const call = httpRequest(listener.endpoint + path, { agent: false, method: "POST", headers: streaming });
    const closed = new Promise<void>((resolve) => call.once("close", resolve));
    call.on("error", () => {}); // the cut
    call.on("response", (response) => response.resume().on("error", () => {}));
    call.write(tooLong());
    const goOn = () => call.write(chunk, (error) => error ?? goOn());
    goOn();
    await closed;
  });

  it("reads the answer over HTTP/2, never waits for room to send, and is told to stop when it goes on and on", async () => {
    await using listener = await serve();
    const session = connectHttp2(listener.endpoint);
    const call = session.request({ ":method": "POST", ":path": path, ...streaming });
    const closed = once(call, "close");
    let text = "";
    call.on("data", (part: Buffer) => {
      text += part.toString("latin1");
    });
    call.write(tooLong());
    const goOn = () => call.write(chunk, (error) => error ?? goOn());
    goOn();
    await closed;
    expect(text).toContain("resource_exhausted");
    expect(call.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    session.close();
  });
});
