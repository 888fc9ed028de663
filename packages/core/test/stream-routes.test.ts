import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { HttpRoute } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { serveEcho } from "./support/started-server.ts";

/** Sends on both ways what it was sent, and the trailer that it was asked for. */
const echo: HttpRoute = {
  path: "/bytes/",
  prefix: true,
  handle: (request, response) => void response.end(`objects ${request.url}`),
  handleStream(stream, headers, rawHeaders) {
    if (headers[":path"] === "/bytes/throws") throw new Error("no");
    stream.respond({ ":status": 200, "x-raw": rawHeaders.filter((_, index) => index % 2 === 0).join() }, trailing);
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-last": "trailer" }));
    stream.pipe(stream);
  },
};
const trailing = { waitForTrailers: true };

async function call(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body = "") {
  const endStream = headers[":method"] === "GET";
  const stream = session.request({ ":method": "POST", ...headers }, { endStream });
  let last: string | undefined;
  stream.on("trailers", (trailers) => {
    last = String(trailers["x-last"]);
  });
  if (!endStream) stream.end(body);
  const [response] = await once(stream, "response");
  const chunks = await stream.toArray();
  return { status: response[constants.HTTP2_HEADER_STATUS], response, text: chunks.join(""), last };
}

describe("a route that serves bare streams", () => {
  const gates = [
    { name: "without a gate", gate: undefined },
    { name: "behind a gate that lets it pass", gate: () => undefined },
  ];
  it.each(gates)("gets those of HTTP/2, and objects of HTTP/1.1; $name", async ({ gate }) => {
    await using server = await serveEcho({ httpRoutes: [echo], gate });
    const session = connect(server.endpoint);
    const answer = await call(session, { ":path": "/bytes/a?b=c", "x-own": "1" }, "hello");
    expect(answer).toMatchObject({ status: 200, text: "hello", last: "trailer" });
    expect(answer.response["x-raw"]).toBe(":method,:path,:authority,:scheme,x-own");
    expect((await call(session, { ":path": "/healthz", ":method": "GET" })).status).toBe(200);
    expect((await call(session, { ":path": "/nowhere" })).status).toBe(404);
    expect(await (await fetch(`${server.endpoint}/bytes/a?b=c`)).text()).toBe("objects /bytes/a?b=c");
    session.close();
  });

  it("that throws is answered with 500, and the connection goes on", async () => {
    const errors: unknown[] = [];
    await using server = await serveEcho({ httpRoutes: [echo], onError: (error) => errors.push(error) });
    const session = connect(server.endpoint);
    expect((await call(session, { ":path": "/bytes/throws" })).status).toBe(500);
    expect(String(errors)).toBe("Error: no");
    expect((await call(session, { ":path": "/bytes/x" }, "y")).text).toBe("y");
    session.close();
  });

  it("obeys the limit on headers", async () => {
    await using server = await serveEcho({ httpRoutes: [echo], limits: { maxHeaderBytes: 1024 } });
    const session = connect(server.endpoint);
    session.on("error", () => {});
    const stream = session.request({ ":path": "/bytes/x", ":method": "POST", "x-long": "y".repeat(2000) });
    stream.on("error", () => {});
    const status = await Promise.race([
      once(stream, "response").then(([response]) => response[constants.HTTP2_HEADER_STATUS]),
      once(stream, "close").then(() => "cut"),
    ]);
    expect([431, "cut"]).toContain(status);
    session.destroy();
  });

  it("has its streams counted: a server that closes waits for them", async () => {
    const server = await serveEcho({ httpRoutes: [echo] });
    const session = connect(server.endpoint);
    const stream = session.request({ ":path": "/bytes/slow", ":method": "POST" });
    await once(stream, "response");
    const closed = server.close({ graceMs: 20_000 });
    await once(session, "goaway");
    stream.end("late");
    expect((await stream.toArray()).join("")).toBe("late");
    await closed;
    session.destroy();
  });

  it("is refused by a gate, in the caller's protocol", async () => {
    const gate = () => new ConnectError("closed", Code.PermissionDenied);
    await using server = await serveEcho({ httpRoutes: [echo], gate });
    const session = connect(server.endpoint);
    expect((await call(session, { ":path": "/bytes/x" })).status).toBe(403);
    session.close();
  });
});
