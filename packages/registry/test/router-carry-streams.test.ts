import { once } from "node:events";
import { request } from "node:http";
import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { resetStream } from "../src/router/exchange/reset-stream.ts";
import { answerOf, closing, openCaller, openHttp2Session } from "./support/callers.ts";
import { startCarryingHost } from "./support/carrying-host.ts";
import { startHttp1Provider, startHttp2Provider } from "./support/providers.ts";
import { createQueue } from "./support/queue.ts";

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

/** A provider of HTTP/2 whose streams the test serves itself. */
async function startManualProvider() {
  const streams = createQueue<ServerHttp2Stream>();
  const provider = await startHttp2Provider((stream) => streams.put(stream));
  return { ...provider, nextStream: () => streams.take() };
}

/** Whether the peer's half was whole when the reset came: Node ends the readable side after a reset, too. */
function endedBeforeReset(stream: ClientHttp2Stream | ServerHttp2Stream): Promise<boolean> {
  return new Promise((resolve) => stream.once("aborted", () => resolve(stream.readableEnded)));
}

async function next(stream: ClientHttp2Stream | ServerHttp2Stream): Promise<string> {
  const [chunk] = await once(stream, "data");
  return String(chunk);
}

describe("a stream through the router", () => {
  it("passes each message at once, in both directions in turn", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    const far = await provider.nextStream();
    far.respond({ ":status": 200 });
    await once(stream, "response");
    for (let round = 0; round < 20; round++) {
      stream.write(`ping ${round}`);
      expect(await next(far)).toBe(`ping ${round}`);
      far.write(`pong ${round}`);
      expect(await next(stream)).toBe(`pong ${round}`);
    }
    stream.end();
    await once(far, "end");
    far.end("bye");
    const closed = closing(stream);
    expect(await next(stream)).toBe("bye");
    await closed;
    expect(stream.rstCode).toBe(NGHTTP2_NO_ERROR);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: undefined });
  });

  it("passes the head of an answer before its body, from and to HTTP/1.1 too", async () => {
    const go = createQueue<string>();
    await using provider = await startHttp1Provider(async (_request, response) => {
      response.flushHeaders();
      response.write(await go.take());
      response.end(await go.take());
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const call = request({ host: "127.0.0.1", port: host.port, path: "/to/x", agent: false });
    call.end();
    const response = await answerOf(call);
    go.put("one");
    expect(String((await once(response, "data"))[0])).toBe("one");
    const closed = closing(response);
    go.put("two");
    expect(String((await once(response, "data"))[0])).toBe("two");
    await closed;
    expect(response.complete).toBe(true);
  });

  it("passes the head of a request before its body, from and to HTTP/1.1 too", async () => {
    const bodies = createQueue<string>();
    await using provider = await startHttp1Provider((incoming, response) => {
      bodies.put("head");
      incoming.on("data", (chunk: Buffer) => bodies.put(chunk.toString()));
      incoming.on("end", () => response.end("done"));
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const call = request({ host: "127.0.0.1", port: host.port, path: "/to/x", method: "POST", agent: false });
    call.flushHeaders();
    expect(await bodies.take()).toBe("head");
    call.write("one");
    expect(await bodies.take()).toBe("one");
    call.end("two");
    expect(await bodies.take()).toBe("two");
    const response = await answerOf(call);
    expect(String((await once(response, "data"))[0])).toBe("done");
  });

  it("tells the provider to go on, and the caller that it may, when that was asked for", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x", expect: "100-continue" });
    const far = await provider.nextStream();
    far.additionalHeaders({ ":status": 100 });
    await once(stream, "continue");
    stream.end("body");
    expect(await next(far)).toBe("body");
    far.respond({ ":status": 200 }, { endStream: true });
    await closing(stream);
  });

  it("of gRPC that fails without messages passes the trailers among the headers", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x", te: "trailers" });
    stream.end("request");
    const far = await provider.nextStream();
    far.resume();
    far.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "12" }, { endStream: true });
    const [headers, flags] = await once(stream, "response");
    expect(headers["grpc-status"]).toBe("12");
    expect(flags & constants.NGHTTP2_FLAG_END_STREAM).not.toBe(0);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", status: 200, grpcStatus: "12" });
  });

  it("passes the trailers of gRPC that no header announced", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    stream.resume();
    const far = await provider.nextStream();
    far.respond({ ":status": 200 }, { waitForTrailers: true });
    far.on("wantTrailers", () => far.sendTrailers({ "grpc-status": "0", "x-last": "1" }));
    far.write("message");
    await once(stream, "response");
    far.end();
    const [trailers] = await once(stream, "trailers");
    expect(trailers).toMatchObject({ "grpc-status": "0", "x-last": "1" });
    stream.end();
    expect(await host.nextEnd()).toMatchObject({ grpcStatus: "0" });
  });
});

describe("a caller that gives up", () => {
  it.each([
    { name: "before an answer", answered: false },
    { name: "in the middle of an answer", answered: true },
  ])("$name is seen by the provider", async ({ answered }) => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    stream.write("part");
    const far = await provider.nextStream();
    await next(far);
    if (answered) {
      far.respond({ ":status": 200 });
      far.write("part");
      await next(stream);
    }
    const closed = closing(far);
    const ended = endedBeforeReset(far);
    resetStream(stream, NGHTTP2_CANCEL);
    await closed;
    expect(far.rstCode).toBe(NGHTTP2_CANCEL);
    expect(await ended).toBe(false);
    expect(await host.nextEnd()).toEqual({ kind: "aborted", status: answered ? 200 : undefined });
  });

  it("with its whole connection, is seen by the provider", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const caller = await openHttp2Session(host.port);
    caller.open({ ":path": "/to/x" });
    const far = await provider.nextStream();
    const closed = closing(far);
    await caller[Symbol.asyncDispose]();
    await closed;
    expect(await host.nextEnd()).toMatchObject({ kind: "aborted" });
  });

  it("over HTTP/1.1 is seen by a provider of HTTP/1.1, and of HTTP/2", async () => {
    const closes = createQueue<string>();
    await using old = await startHttp1Provider((_request, response) => {
      response.once("close", () => closes.put("old"));
      response.write("part");
    });
    await using young = await startHttp2Provider((stream) => {
      stream.once("close", () => closes.put("young"));
      stream.respond({ ":status": 200 });
      stream.write("part");
    });
    for (const [name, { upstream }] of Object.entries({ old, young })) {
      await using host = await startCarryingHost({ upstreams: [upstream] });
      const call = request({ host: "127.0.0.1", port: host.port, path: "/to/x", agent: false });
      call.on("error", () => {});
      call.end();
      await once(await answerOf(call), "data");
      call.destroy();
      expect(await closes.take()).toBe(name);
      expect(await host.nextEnd()).toEqual({ kind: "aborted", status: 200 });
    }
  });

  it("while its request waits for a connection leaves nothing behind", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/first" });
    const exchange = await host.nextExchange();
    exchange.destroy(); // before the first connection is there
    await closing(stream);
    expect(await host.nextEnd()).toEqual({ kind: "aborted", status: undefined });
    const second = caller.open({ ":path": "/to/second" });
    const far = await provider.nextStream();
    expect(far.id).toBe(1);
    far.respond({ ":status": 200 }, { endStream: true });
    await once(second, "response");
  });
});

describe("a provider that gives up", () => {
  it("in the middle of its answer resets the caller", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    const far = await provider.nextStream();
    far.respond({ ":status": 200 });
    far.write("part");
    await next(stream);
    const ended = endedBeforeReset(stream);
    resetStream(far, NGHTTP2_INTERNAL_ERROR);
    await closing(stream);
    expect(await ended).toBe(false);
    expect(stream.rstCode).toBe(NGHTTP2_INTERNAL_ERROR);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", status: 200, cut: "stream" });
  });

  it("with NO_ERROR in the middle does not make its answer look whole", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    stream.end();
    const far = await provider.nextStream();
    far.resume();
    far.respond({ ":status": 200 });
    far.write("part");
    await next(stream);
    const ends = vi.fn();
    stream.on("end", ends);
    far.destroy();
    await closing(stream);
    expect(ends).not.toHaveBeenCalled();
    expect(stream.rstCode).toBe(NGHTTP2_INTERNAL_ERROR);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: "stream" });
  });

  it("with its connection, in the middle, cuts every caller of it", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const streams = [1, 2].map(() => caller.open({ ":path": "/to/x" }));
    for (const stream of streams) {
      const far = await provider.nextStream();
      far.respond({ ":status": 200 });
      far.write("part");
      await next(stream);
    }
    const closed = streams.map((stream) => closing(stream));
    for (const socket of provider.sockets.open) socket.destroy();
    await Promise.all(closed);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: "connection" });
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: "connection" });
  });

  it("over HTTP/1.1 in the middle of its answer cuts the caller of HTTP/1.1", async () => {
    await using provider = await startHttp1Provider((_request, response) => {
      response.write("part", () => response.destroy());
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, "1.1");
    await expect(caller.call({ path: "/to/x" })).rejects.toThrow("aborted");
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", status: 200, cut: "stream" });
  });

  it("after an early answer lets the caller have it, and stops its request", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    stream.write("part");
    const far = await provider.nextStream();
    far.resume();
    far.respond({ ":status": 413 });
    far.end("too long", () => far.close(NGHTTP2_NO_ERROR));
    const [headers] = await once(stream, "response");
    const closed = closing(stream);
    expect(headers[":status"]).toBe(413);
    expect(await next(stream)).toBe("too long");
    await closed; // the request has not ended
    expect(stream.rstCode).toBe(NGHTTP2_NO_ERROR);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", status: 413, cut: undefined });
  });

  it("after an early answer with trailers lets the caller have those, too", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    const far = await provider.nextStream();
    far.respond({ ":status": 200 }, { waitForTrailers: true });
    far.on("wantTrailers", () => {
      far.sendTrailers({ "grpc-status": "8" });
      setImmediate(() => setImmediate(() => far.close(NGHTTP2_NO_ERROR)));
    });
    far.end();
    stream.resume();
    const closed = closing(stream);
    const [trailers] = await once(stream, "trailers");
    expect(trailers["grpc-status"]).toBe("8");
    await closed;
    expect(await host.nextEnd()).toMatchObject({ grpcStatus: "8", cut: undefined });
  });

  it("over HTTP/1.1 with an early answer lets the caller have it while it still sends", async () => {
    await using provider = await startHttp1Provider((incoming, response) => {
      incoming.resume();
      response.writeHead(413).end("too long");
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    for (const http of ["1.1", "2"] as const) {
      await using caller = await openCaller(host.port, http);
      const answer = await caller.call({ path: "/to/x", body: Buffer.alloc(400_000) });
      expect([http, answer.status, answer.body.toString()]).toEqual([http, 413, "too long"]);
    }
  });
});

describe("an exchange", () => {
  it("that fails while it is carried answers its caller, and resets the provider", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x", "content-type": "application/grpc" });
    const far = await provider.nextStream();
    const exchange = await host.nextExchange();
    const closed = closing(far);
    exchange.fail(new ConnectError("your identity has ended", Code.Unauthenticated));
    const [headers] = await once(stream, "response");
    expect(headers["grpc-status"]).toBe("16");
    await closed;
    expect(far.rstCode).toBe(NGHTTP2_CANCEL);
    expect(await host.nextEnd()).toEqual({ kind: "aborted", status: undefined });
  });

  it("that fails in the middle of its answer resets both sides", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    const far = await provider.nextStream();
    far.respond({ ":status": 200 });
    await once(stream, "response");
    const closed = [closing(far), closing(stream)];
    (await host.nextExchange()).fail(new ConnectError("your identity has ended", Code.Unauthenticated));
    await Promise.all(closed);
    expect([far.rstCode, stream.rstCode]).toEqual([NGHTTP2_CANCEL, NGHTTP2_CANCEL]);
    expect(await host.nextEnd()).toEqual({ kind: "aborted", status: 200 });
  });

  it("tells once how it closed", async () => {
    await using provider = await startHttp2Provider((stream) =>
      stream.respond({ ":status": 200 }, { endStream: true }),
    );
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    for (const http of ["1.1", "2"] as const) {
      await using caller = await openCaller(host.port, http);
      await caller.call({ path: "/to/x" });
      const exchange = await host.nextExchange();
      const told = createQueue<string>();
      exchange.onClosed((end) => told.put(end));
      expect(await told.take()).toBe("finished");
      exchange.onClosed((end) => told.put(`late ${end}`));
      expect(await told.take()).toBe("late finished");
    }
  });
});

describe("a caller of plain sockets", () => {
  async function talk(port: number, text: string): Promise<string> {
    const socket = connect({ host: "127.0.0.1", port });
    socket.write(text);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  it("of HTTP/1.0 gets an answer without chunks, that ends with the connection", async () => {
    await using provider = await startHttp2Provider((stream) => {
      stream.respond({ ":status": 200, trailer: "x-last" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-last": "1" }));
      stream.end("old");
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const answer = await talk(host.port, "GET /to/x HTTP/1.0\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).not.toMatch(/chunked|trailer/i);
    expect(answer.endsWith("\r\n\r\nold")).toBe(true);
  });

  it("whose body is coded in more ways than in chunks is refused, as is such an answer", async () => {
    let requests = 0;
    await using provider = await startHttp1Provider((_request, response) => {
      requests++;
      response.writeHead(200, { "transfer-encoding": "gzip, chunked", connection: "close" }).end("x");
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const head = "POST /to/x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n";
    const refused = await talk(host.port, `${head}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`);
    expect(refused).toMatch(/^HTTP\/1\.1 502/);
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "request" });
    expect(requests).toBe(0);
    expect(await talk(host.port, `${head}content-length: 0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 502/);
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "stream" });
  });

  it("that asks for another protocol gets an answer of this one", async () => {
    const seen: string[] = [];
    await using provider = await startHttp1Provider((incoming, response) => {
      seen.push(...incoming.rawHeaders.map((text) => text.toLowerCase()));
      response.end("plain");
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const upgrade = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-key: x";
    const answer = await talk(host.port, `GET /to/x HTTP/1.1\r\nhost: h\r\n${upgrade}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(seen).not.toContain("upgrade");
  });

  it("that sends its requests at once gets their answers in their order", async () => {
    await using provider = await startHttp2Provider((stream, headers) => {
      stream.respond({ ":status": 200 });
      stream.end(`<${headers[":path"]}>`);
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const requests = ["/to/1", "/to/2", "/to/3"].map((path) => `GET ${path} HTTP/1.1\r\nhost: h\r\n`);
    const answer = await talk(host.port, `${requests.join("\r\n")}connection: close\r\n\r\n`);
    expect(answer.match(/<\/\d>/g)).toEqual(["</1>", "</2>", "</3>"]);
  });

  it("that hangs up while its requests wait in line frees the provider", async () => {
    await using provider = await startManualProvider();
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const socket = connect({ host: "127.0.0.1", port: host.port });
    socket.write("GET /to/1 HTTP/1.1\r\nhost: h\r\n\r\nGET /to/2 HTTP/1.1\r\nhost: h\r\n\r\n");
    const [first, second] = [await provider.nextStream(), await provider.nextStream()];
    second.respond({ ":status": 200 });
    second.write("part");
    const closed = [closing(first), closing(second)];
    socket.destroy();
    await Promise.all(closed);
    expect([(await host.nextEnd()).kind, (await host.nextEnd()).kind]).toEqual(["aborted", "aborted"]);
  });
});
