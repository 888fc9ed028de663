import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import { createServer, type Socket } from "node:net";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { closing, openCaller, openHttp2Session, statusOf } from "./support/callers.ts";
import { startCarryingHost } from "./support/carrying-host.ts";
import { listenAt, socketsOf, startHttp1Provider, startHttp2Provider, upstreamAt } from "./support/providers.ts";
import { createQueue, type Queue } from "./support/queue.ts";

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_ACK, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const echo = (stream: ServerHttp2Stream): void => {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
};

/** A server that does with each connection what the test says. */
async function startSocketServer(onSocket: (socket: Socket) => void) {
  const server = createServer(onSocket);
  const sockets = socketsOf(server);
  const port = await listenAt(server);
  return { port, sockets, [Symbol.asyncDispose]: () => sockets.close() };
}

/** A port on which nobody listens. */
async function unusedPort(): Promise<number> {
  const server = createServer();
  const port = await listenAt(server);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return Number(port);
}

/** A SETTINGS frame without settings, https://www.rfc-editor.org/rfc/rfc9113#section-6.5 */
function settingsFrame(flags: number): Buffer {
  return Buffer.from([0, 0, 0, 4, flags, 0, 0, 0, 0]);
}

const headersFrame = 1;
const pingFrame = 6;

/** Types of the frames that a client has sent. */
function frameTypes(bytes: Buffer): number[] {
  const types: number[] = [];
  let at = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".length;
  for (; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) types.push(bytes.readUInt8(at + 3));
  return types;
}

async function pinged(before: Buffer, received: Queue<Buffer>): Promise<boolean> {
  let bytes = before;
  while (!frameTypes(bytes).includes(pingFrame)) bytes = Buffer.concat([bytes, await received.take()]);
  return true;
}

describe("a call that reached nobody", () => {
  const unsent = [
    { name: "nobody listens", http: "2" as const, cause: "refused" },
    { name: "nobody listens", http: "1.1" as const, cause: "refused" },
    { name: "nobody listens", http: "auto" as const, cause: "refused" },
  ];
  it.each(unsent)("because $name (HTTP/$http) is told so, and can be carried elsewhere with its body", async (row) => {
    await using provider = await startHttp2Provider(echo);
    await using host = await startCarryingHost({
      upstreams: [upstreamAt(await unusedPort(), row.http), provider.upstream],
    });
    for (const http of ["1.1", "2"] as const) {
      await using caller = await openCaller(host.port, http);
      const body = Buffer.alloc(60_000, http);
      const answer = await caller.call({ path: "/to/x", body });
      expect(answer.body.equals(body)).toBe(true);
      expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: row.cause, replayable: true });
      expect(await host.nextEnd()).toMatchObject({ kind: "answered" });
      const exchange = await host.nextExchange();
      expect(exchange.requestBytes).toBe(body.length);
    }
  });

  it("because there is no such Unix socket is told so", async () => {
    await using host = await startCarryingHost({ upstreams: [upstreamAt("/nowhere/provider.sock", "2")] });
    await using caller = await openCaller(host.port, "2");
    expect((await caller.call({ path: "/to/x" })).status).toBe(502);
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "refused" });
  });

  it("because the provider refuses the stream is told so, and carried again with all of its body", async () => {
    let refused = 0;
    await using shy = await startHttp2Provider((stream) => {
      // Not before something of the body has come.
      stream.once("data", () => {
        refused++;
        stream.close(NGHTTP2_REFUSED_STREAM);
      });
    });
    await using provider = await startHttp2Provider(echo);
    await using host = await startCarryingHost({ upstreams: [shy.upstream, provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    stream.write("one ");
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "unprocessed", replayable: true });
    stream.end("two");
    let body = "";
    for await (const part of stream) body += part;
    expect([body, refused]).toEqual(["one two", 1]);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered" });
  });

  it("is not carried again when more of its body was sent than is kept", async () => {
    await using shy = await startHttp2Provider((stream) => {
      let bytes = 0;
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > 65_536) stream.close(NGHTTP2_REFUSED_STREAM);
      });
    });
    await using provider = await startHttp2Provider(echo);
    await using host = await startCarryingHost({ upstreams: [shy.upstream, provider.upstream] });
    await using caller = await openCaller(host.port, "2");
    expect((await caller.call({ path: "/to/x", body: Buffer.alloc(80_000) })).status).toBe(502);
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "unprocessed", replayable: false });
  });

  it("because the provider said good-bye before is told so; what it had taken goes on", async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const first = caller.open({ ":path": "/to/1" });
    const second = caller.open({ ":path": "/to/2" });
    const [taken] = [await streams.take(), await streams.take()];
    provider.sessions[0]?.goaway(NGHTTP2_NO_ERROR, taken.id ?? 0);
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "unprocessed", replayable: true });
    expect(await statusOf(second)).toBe(502);
    // Later calls travel over another connection.
    const third = caller.open({ ":path": "/to/3" });
    const other = await streams.take();
    expect(other.session).not.toBe(taken.session);
    other.respond({ ":status": 200 }, { endStream: true });
    await statusOf(third);
    taken.respond({ ":status": 200 }, { endStream: true });
    expect(await statusOf(first)).toBe(200);
  });

  it("because of a good-bye with an error tells the seen from the unseen", async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    for (const path of ["/to/1", "/to/2"]) caller.open({ ":path": path });
    const [taken] = [await streams.take(), await streams.take()];
    provider.sessions[0]?.goaway(NGHTTP2_ENHANCE_YOUR_CALM, taken.id ?? 0);
    const ends = [await host.nextEnd(), await host.nextEnd()];
    expect(ends.map(({ kind }) => kind).sort()).toEqual(["lost", "unsent"]);
    // The provider lives: it said good-bye.
    expect(ends.find(({ kind }) => kind === "lost")).toMatchObject({ cause: "stream" });
  });

  it("because its head cannot be written is the caller's affair", async () => {
    await using provider = await startHttp2Provider(echo);
    await using host = await startCarryingHost({
      upstreams: [provider.upstream],
      headers: () => ["content-type", "a/b", "content-type", "c/d"],
    });
    await using caller = await openCaller(host.port, "2");
    await caller.call({ path: "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "request" });
    await caller.call({ path: "/to/x" });
    expect(provider.sockets.count).toBe(1); // its room was given back
  });
});

describe("a provider that cannot be reached in time", () => {
  it.each(["2", "auto"] as const)("is given up at the bound (HTTP/%s)", async (http) => {
    const connected = createQueue<Socket>();
    await using silent = await startSocketServer((socket) => connected.put(socket));
    const clock = new FakeClock();
    await using host = await startCarryingHost({
      upstreams: [upstreamAt(Number(silent.port), http === "auto" ? "auto" : "2")],
      clock,
      limits: { connectTimeoutMs: 1_000 },
    });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    const socket = await connected.take();
    await once(socket, "data"); // the preface of HTTP/2
    await clock.advance(1_000);
    // One of which nobody knows what it speaks is tried in HTTP/1.1, and waited for like any.
    const expected = http === "2" ? { kind: "unsent", cause: "timeout" } : { kind: "lost", cause: "connection" };
    if (http === "auto") (await connected.take()).destroy();
    expect(await host.nextEnd()).toMatchObject(expected);
    expect(await statusOf(stream)).toBe(502);
  });
});

describe("a provider of which nobody knows what it speaks", () => {
  it("is spoken to over HTTP/2 if it greets", async () => {
    await using provider = await startHttp2Provider(echo);
    await using host = await startCarryingHost({ upstreams: [provider.auto] });
    await using caller = await openCaller(host.port, "1.1");
    for (const body of ["one", "two"]) {
      expect((await caller.call({ path: "/to/x", body })).body.toString()).toBe(body);
    }
    expect(provider.sockets.count).toBe(1);
  });

  it("is spoken to over HTTP/1.1 if it does not, and that is remembered", async () => {
    await using provider = await startHttp1Provider((incoming, response) => void incoming.pipe(response));
    await using host = await startCarryingHost({ upstreams: [provider.auto] });
    await using caller = await openCaller(host.port, "2");
    const bodies = Array.from({ length: 10 }, (_, index) => `body ${index}`);
    const answers = await Promise.all(bodies.map((body) => caller.call({ path: "/to/x", body })));
    expect(answers.map(({ body }) => body.toString())).toEqual(bodies);
    const before = provider.sockets.count;
    expect((await caller.call({ path: "/to/x", body: "again" })).body.toString()).toBe("again");
    expect(provider.sockets.count).toBe(before); // no new attempt, and a connection that was kept
  });

  it("is tried again once it does not answer any more", async () => {
    const old = await startHttp1Provider((incoming, response) => void incoming.pipe(response));
    await using host = await startCarryingHost({ upstreams: [old.auto] });
    await using caller = await openCaller(host.port, "2");
    expect((await caller.call({ path: "/to/x", body: "old" })).body.toString()).toBe("old");
    await old[Symbol.asyncDispose]();
    expect((await caller.call({ path: "/to/x" })).status).toBe(502);
    const port = old.auto.kind === "http" ? old.auto.port : 0;
    await using young = await startHttp2Provider(echo, { at: { host: "127.0.0.1", port } });
    expect((await caller.call({ path: "/to/x", body: "young" })).body.toString()).toBe("young");
    expect(young.sessions.length).toBe(1);
  });
});

describe("a provider that is lost", () => {
  it("before it answered, with its connection: lost, not unsent", async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    await streams.take();
    for (const socket of provider.sockets.open) socket.resetAndDestroy();
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "connection" });
    expect(await statusOf(stream)).toBe(502);
  });

  it("before it answered, over HTTP/1.1: lost; on a connection that was kept, perhaps only that was closed", async () => {
    let answers = 1;
    await using provider = await startHttp1Provider((incoming, response) => {
      if (answers-- > 0) response.end("once");
      else incoming.socket.destroy();
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, "2");
    await caller.call({ path: "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "answered" });
    await caller.call({ path: "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "stream" });
    await caller.call({ path: "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "connection" });
  });

  it("to silence, as it answers no PING", async () => {
    const clock = new FakeClock();
    const received = createQueue<Buffer>();
    // Greets, and then says nothing any more.
    await using provider = await startSocketServer((socket) => {
      socket.on("data", (chunk: Buffer) => received.put(chunk));
      socket.write(Buffer.concat([settingsFrame(0), settingsFrame(NGHTTP2_FLAG_ACK)]));
    });
    await using host = await startCarryingHost({
      upstreams: [upstreamAt(Number(provider.port), "2")],
      clock,
      limits: { pingIntervalMs: 1_000, pingTimeoutMs: 500, idleTimeoutMs: 60_000 },
    });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/secret" });
    let bytes = await received.take();
    while (!frameTypes(bytes).includes(headersFrame)) bytes = Buffer.concat([bytes, await received.take()]);
    await clock.advance(1_000);
    expect(await pinged(bytes, received)).toBe(true);
    await clock.advance(500);
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "silence" });
    expect(await statusOf(stream)).toBe(502);
  });

  it("to answers that are no HTTP", async () => {
    await using provider = await startSocketServer((socket) => {
      socket.once("data", () => socket.end("SSH-2.0-OpenSSH\r\n"));
    });
    const upstreams = [upstreamAt(Number(provider.port), "1.1")];
    await using host = await startCarryingHost({ upstreams });
    await using caller = await openCaller(host.port, "2");
    expect((await caller.call({ path: "/to/x" })).status).toBe(502);
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "stream" });
  });

  it.each(["1.1", "2"] as const)("to headers beyond the limit (HTTP/%s)", async (http) => {
    const long = "x".repeat(20_000);
    await using old = await startHttp1Provider((_request, response) => void response.writeHead(200, { long }).end());
    await using young = await startHttp2Provider((stream) => stream.respond({ ":status": 200, long }));
    await using host = await startCarryingHost({
      upstreams: [http === "1.1" ? old.upstream : young.upstream],
      limits: { maxHeaderBytes: 4_096 },
    });
    await using caller = await openCaller(host.port, "2");
    expect((await caller.call({ path: "/to/x" })).status).toBe(502);
    expect(await host.nextEnd()).toMatchObject({ kind: "lost", cause: "stream" });
  });
});

describe("connections to a provider", () => {
  it("carry no more calls at a time than the provider wants; there are as many as that takes", async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream), {
      settings: { maxConcurrentStreams: 2 },
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, "2");
    const calls = Array.from({ length: 6 }, () => caller.call({ path: "/to/x" }));
    const open: ServerHttp2Stream[] = [];
    while (open.length < 6) open.push(await streams.take());
    expect(provider.sessions.length).toBe(3);
    for (const stream of open) stream.respond({ ":status": 200 }, { endStream: true });
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(6).fill(200));
  });

  it("that are all taken are waited for, in turn", async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream), {
      settings: { maxConcurrentStreams: 1 },
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream], limits: { maxSessions: 1 } });
    await using caller = await openCaller(host.port, "2");
    const calls = ["1", "2", "3"].map((name) => caller.call({ path: `/to/${name}` }));
    const paths: string[] = [];
    for (const _ of calls) {
      const stream = await streams.take();
      paths.push(String(stream.id));
      stream.respond({ ":status": 200 }, { endStream: true });
    }
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(provider.sessions.length).toBe(1);
  });

  it.each(["1.1", "2"] as const)(
    "that do not get free in time: unsent, for no fault of the provider (HTTP/%s)",
    async (http) => {
      const clock = new FakeClock();
      const taken = createQueue<void>();
      await using old = await startHttp1Provider(() => taken.put());
      await using young = await startHttp2Provider(() => taken.put());
      await using host = await startCarryingHost({
        upstreams: [http === "1.1" ? old.upstream : young.upstream],
        clock,
        limits: { maxSockets: 1, maxSessions: 1, maxStreamsPerSession: 1, connectTimeoutMs: 1_000 },
      });
      await using caller = await openHttp2Session(host.port);
      caller.open({ ":path": "/to/first" });
      await taken.take();
      const second = caller.open({ ":path": "/to/second" });
      await host.nextExchange();
      await host.nextExchange();
      await clock.advance(2_000);
      expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "busy" });
      expect(await statusOf(second)).toBe(502);
    },
  );

  it.each(["1.1", "2"] as const)("close when they were unused for a while (HTTP/%s)", async (http) => {
    await using old = await startHttp1Provider((_request, response) => void response.end());
    await using young = await startHttp2Provider(echo);
    const provider = http === "1.1" ? old : young;
    await using host = await startCarryingHost({ upstreams: [provider.upstream], limits: { idleTimeoutMs: 20 } });
    await using caller = await openCaller(host.port, "2");
    await caller.call({ path: "/to/x", body: "" });
    const [socket] = provider.sockets.open;
    await closing(socket as Socket);
  });

  it.each(["1.1", "2"] as const)("of a retired provider close after their calls (HTTP/%s)", async (http) => {
    const go = createQueue<void>();
    await using old = await startHttp1Provider(async (_request, response) => {
      response.write("begun ");
      await go.take();
      response.end("ended");
    });
    await using young = await startHttp2Provider(async (stream) => {
      stream.respond({ ":status": 200 });
      stream.write("begun ");
      await go.take();
      stream.end("ended");
    });
    const { upstream, sockets } = http === "1.1" ? old : young;
    await using host = await startCarryingHost({ upstreams: [upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    await statusOf(stream);
    const [socket] = sockets.open;
    const closed = closing(socket as Socket);
    host.forwarder.retire(upstream);
    go.put();
    let body = "";
    for await (const part of stream) body += part;
    expect(body).toBe("begun ended");
    stream.end();
    await closed;
  });

  it("of a Unix socket carry calls", async () => {
    const path = `/tmp/cpg-router-forward-${process.pid}.sock`;
    await using provider = await startHttp2Provider(echo, { at: { path } });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openCaller(host.port, "1.1");
    expect((await caller.call({ path: "/to/x", body: "over a socket" })).body.toString()).toBe("over a socket");
  });

  it("are all cut when the forwarder closes, and nothing is sent after that", async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const stream = caller.open({ ":path": "/to/x" });
    await streams.take();
    const [socket] = provider.sockets.open;
    const closed = closing(socket as Socket);
    await host.forwarder.close();
    await closed;
    expect(await host.nextEnd()).toMatchObject({ kind: "lost" });
    await statusOf(stream);
    const late = caller.open({ ":path": "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "closed" });
    await statusOf(late);
  });
});
