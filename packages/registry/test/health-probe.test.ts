import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createHttp2Server, createSecureServer as createSecureHttp2Server } from "node:http2";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createMemoryServer, type DirectEndpoint, serve } from "@cpg/core";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { PluginControl } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { describe, expect, it } from "vitest";
import { createProbe, type ProbeOptions } from "../src/health/create-probe.ts";
import type { ProbeResult } from "../src/health/probe.ts";
import type { HttpUpstream, Upstream, UpstreamHttp } from "../src/router/upstream.ts";
import { createSelfSigned } from "./support/self-signed.ts";

const noOpinion: ProbeResult = { kind: "answered", opinion: undefined };
const degraded: ProbeResult = {
  kind: "answered",
  opinion: { level: "degraded", reason: "no logger", unavailableDependencies: ["logger"] },
};
const answer = { state: HealthState.DEGRADED, reason: "no logger", unavailableDependencies: ["logger"] };

function at(port: number, http: UpstreamHttp = "auto", basePath = ""): HttpUpstream {
  return {
    kind: "http",
    secure: false,
    address: "127.0.0.1",
    port,
    authority: `provider.example:${port}`,
    servername: undefined,
    basePath,
    http,
  };
}

/** Asks once, over a connection of its own unless one is given. */
async function ask(upstream: Upstream, signal = new AbortController().signal, options: ProbeOptions = {}) {
  const connection = createProbe(options).open(upstream);
  try {
    return await connection.ask(signal);
  } finally {
    await connection.close();
  }
}

async function listen(server: Server, path?: string) {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  const address = server.address();
  const { port } = typeof address === "object" && address !== null ? address : ({ port: 0 } as AddressInfo);
  let closed: Promise<unknown> | undefined;
  const close = () => {
    closed ??= new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    return closed;
  };
  return { port, sockets, close, [Symbol.asyncDispose]: async () => void (await close()) };
}

const json = JSON.stringify;

const control: RequestListener = connectNodeAdapter({
  routes: (router) => router.service(PluginControl, { getHealth: () => answer }),
});

describe("probe", () => {
  it.each(["1.1", "auto"] as const)("asks a provider of HTTP/1.1, told as %s", async (http) => {
    await using server = await listen(createServer(control));
    expect(await ask(at(server.port, http))).toEqual(degraded);
  });

  it.each(["2", "auto"] as const)("asks a provider of HTTP/2 only, told as %s", async (http) => {
    await using server = await listen(createHttp2Server(control as never));
    expect(await ask(at(server.port, http))).toEqual(degraded);
  });

  it("asks at the address, under the name and below the path of the registration", async () => {
    const seen: unknown[] = [];
    await using server = await listen(
      createServer((request, response) => {
        seen.push(request.headers.host, request.url);
        response.writeHead(404).end();
      }),
    );
    await ask(at(server.port, "1.1", "/base"));
    expect(seen).toEqual([`provider.example:${server.port}`, "/base/connectplugin.v1.PluginControl/GetHealth"]);
  });

  it("asks over a Unix socket", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cpg-probe-"));
    const path = join(folder, "p.sock");
    const upstream: Upstream = { kind: "unix", path, authority: "localhost", basePath: "", http: "auto" };
    const server = await listen(createServer(control), path);
    expect(await ask(upstream)).toEqual(degraded);
    await server.close();
    expect(await ask(upstream)).toEqual({ kind: "refused" });
    await rm(folder, { recursive: true });
  });

  it("asks plugins without a socket, and sees that they are gone", async () => {
    const server = createMemoryServer({
      routes: (router) => router.service(PluginControl, { getHealth: () => answer }),
    });
    const endpoint: DirectEndpoint = {
      name: "memory:p",
      open(options) {
        const transport = server.connect(options);
        return { transport, httpVersion: undefined, close: () => transport.close() };
      },
    };
    const upstream: Upstream = { kind: "direct", endpoint, plugins: {} };
    expect(await ask(upstream)).toEqual(degraded);
    await server.close();
    expect(await ask(upstream)).toEqual({ kind: "reset" });
  });

  it("asks a plugin of ours", async () => {
    await using server = await serve({
      plugins: {},
      impls: {},
      extensions: [{ name: "none", install: () => ({}) }],
      listen: { port: 0 },
      link: false,
      handleSignals: false,
      environment: {},
    });
    const result = await ask(at(Number(new URL(server.endpoint).port)));
    expect(result).toEqual({
      kind: "answered",
      opinion: { level: "healthy", reason: "", unavailableDependencies: [] },
    });
  });

  it.each<{ readonly what: string; readonly listener: RequestListener }>([
    { what: "404", listener: (_, response) => response.writeHead(404).end("<html>") },
    {
      what: "a redirect",
      listener: (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    },
    { what: "401", listener: (_, response) => response.writeHead(401).end() },
    { what: "503", listener: (_, response) => response.writeHead(503).end() },
    {
      what: "unimplemented",
      listener: (_, response) =>
        response.writeHead(501, { "content-type": "application/json" }).end(json({ code: "unimplemented" })),
    },
    {
      what: "200 with a page",
      listener: (_, response) => response.writeHead(200, { "content-type": "text/html" }).end("hi"),
    },
    {
      what: "bytes that are no message",
      listener: (_, response) =>
        response.writeHead(200, { "content-type": "application/proto" }).end(Buffer.from([0xff, 0xff, 0xff])),
    },
    {
      what: "an empty message",
      listener: (_, response) => response.writeHead(200, { "content-type": "application/proto" }).end(),
    },
    {
      what: "a state that nobody knows",
      listener: (_, response) =>
        response.writeHead(200, { "content-type": "application/proto" }).end(Buffer.from([0x08, 0x63])),
    },
    {
      what: "a reason that is too long",
      listener: (_, response) =>
        response
          .writeHead(200, { "content-type": "application/proto" })
          .end(Buffer.concat([Buffer.from([0x08, 0x02, 0x12, 0x88, 0x27]), Buffer.alloc(5_000, 0x61)])),
    },
    {
      what: "more than anybody has to say",
      listener: (_, response) =>
        response.writeHead(200, { "content-type": "application/proto" }).end(Buffer.alloc(1_000_000, 0x0a)),
    },
    {
      what: "an error page without end",
      listener: (_, response) => void response.writeHead(500, { "content-type": "text/html" }).write("and so on"),
    },
  ])("reads $what as a sign of life without an opinion", async ({ listener }) => {
    await using server = await listen(createServer(listener));
    expect(await ask(at(server.port))).toEqual(noOpinion);
  });

  it.each<{ readonly what: string; readonly bytes: string }>([
    { what: "what is no HTTP", bytes: "SSH-2.0-OpenSSH_9.2\r\n" },
    { what: "TLS", bytes: "\x15\x03\x03\x00\x02\x02\x46" },
  ])("reads $what as a sign of life", async ({ bytes }) => {
    await using server = await listen(createTcpServer((socket) => socket.end(Buffer.from(bytes, "latin1"))));
    expect(await ask(at(server.port, "1.1"))).toEqual(noOpinion);
    expect(await ask(at(server.port))).toEqual(noOpinion);
  });

  it.each(["1.1", "2", "auto"] as const)("asks over TLS for the name of the upstream, told as %s", async (http) => {
    const { cert, key } = await createSelfSigned("provider.example");
    const server = http === "1.1" ? createTlsServer({ cert, key }, control) : createSecureHttp2Server({ cert, key });
    if (http !== "1.1") server.on("request", control);
    await using listening = await listen(server);
    const upstream = { ...at(listening.port, http), secure: true, servername: "provider.example" };
    expect(await ask(upstream, undefined, { tls: { ca: cert } })).toEqual(degraded);
    expect(await ask(upstream)).toEqual(noOpinion); // a certificate that nobody knows is somebody's all the same
    expect(await ask({ ...upstream, servername: "other.example" }, undefined, { tls: { ca: cert } })).toEqual(
      noOpinion,
    );
  });

  it("reads cleartext, where TLS should be, as a sign of life", async () => {
    await using server = await listen(createServer(control));
    expect(await ask({ ...at(server.port, "1.1"), secure: true })).toEqual(noOpinion);
  });

  it("proves that nobody listens", async () => {
    const server = await listen(createServer(control));
    await server.close();
    for (const http of ["1.1", "2", "auto"] as const) {
      expect(await ask(at(server.port, http))).toEqual({ kind: "refused" });
    }
  });

  it.each(["1.1", "2", "auto"] as const)("proves that who listens hangs up, told as %s", async (http) => {
    let connections = 0;
    await using server = await listen(
      createTcpServer((socket) => {
        connections++;
        socket.resetAndDestroy();
      }),
    );
    expect(await ask(at(server.port, http))).toEqual({ kind: "reset" });
    expect(connections).toBe(http === "auto" ? 2 : 1);
  });

  it("proves it also when the end is a polite one", async () => {
    await using server = await listen(createTcpServer((socket) => socket.once("data", () => socket.end())));
    expect(await ask(at(server.port))).toEqual({ kind: "reset" });
  });

  it("shows nothing when it is cut, and keeps no connection", async () => {
    const arrived = Promise.withResolvers<Socket>();
    await using server = await listen(createTcpServer((socket) => socket.once("data", () => arrived.resolve(socket))));
    const cut = new AbortController();
    const asked = ask(at(server.port), cut.signal);
    const socket = await arrived.promise;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    cut.abort(new Error("enough"));
    expect(await asked).toEqual({ kind: "inconclusive" });
    await closed;
  });

  it.each<{ readonly what: string; readonly listener: RequestListener }>([
    { what: "an opinion", listener: control },
    {
      what: "that it does not know it",
      listener: (_, response) =>
        response.writeHead(404, { "content-type": "application/json" }).end(json({ code: "unimplemented" })),
    },
  ])("keeps its connection from one probe to the next, when it answers $what", async ({ listener }) => {
    let connections = 0;
    const server = createServer(listener);
    server.on("connection", () => connections++);
    await using listening = await listen(server);
    const connection = createProbe().open(at(listening.port));
    for (let probe = 0; probe < 5; probe++) await connection.ask(new AbortController().signal);
    expect(connections).toBe(1);
    await connection.close();
  });

  it.each<{ readonly what: string; readonly listener: RequestListener }>([
    { what: "a page", listener: (_, response) => response.writeHead(404).end("no such page") },
    {
      what: "a page without end",
      listener: (_, response) => void response.writeHead(500, { "content-type": "text/html" }).write("and so on"),
    },
  ])("holds no connection after it has answered $what", async ({ listener }) => {
    const server = createServer(listener);
    await using listening = await listen(server);
    const connection = createProbe().open(at(listening.port));
    for (let probe = 0; probe < 3; probe++) {
      const gone = new Promise((resolve) =>
        server.once("connection", (socket: Socket) => socket.once("close", resolve)),
      );
      await connection.ask(new AbortController().signal);
      await gone;
    }
    await connection.close();
  });

  it("asks again over a new connection when the kept one breaks, before it believes a death", async () => {
    let asked = 0;
    await using server = await listen(
      createServer((request, response) => {
        asked++;
        if (asked === 2) request.socket.resetAndDestroy();
        else control(request, response);
      }),
    );
    const connection = createProbe().open(at(server.port));
    const signal = new AbortController().signal;
    expect(await connection.ask(signal)).toEqual(degraded);
    expect(await connection.ask(signal)).toEqual(degraded);
    expect(asked).toBe(3);
    await server.close();
    expect(await connection.ask(signal)).toEqual({ kind: "refused" });
    await connection.close();
  });

  it("keeps its session of HTTP/2, and stays with the version that it has found", async () => {
    let connections = 0;
    const http2 = createHttp2Server(control as never);
    http2.on("connection", () => connections++);
    await using server = await listen(http2);
    const connection = createProbe().open(at(server.port));
    for (let probe = 0; probe < 3; probe++) {
      expect(await connection.ask(new AbortController().signal)).toEqual(degraded);
    }
    expect(connections).toBe(2); // one of them of HTTP/1.1
    await connection.close();
    await server.close();
  });

  it("leaves no connection open when it is closed", async () => {
    await using server = await listen(createServer(control));
    const connection = createProbe().open(at(server.port));
    await connection.ask(new AbortController().signal);
    const [socket] = server.sockets;
    const closed = new Promise((resolve) => socket?.once("close", resolve));
    await connection.close();
    await closed;
    expect(server.sockets.size).toBe(0);
  });
});
