import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import type { TLSSocket, TlsOptions } from "node:tls";
import type { TlsMaterial } from "@cpg/core";
import { describe, expect, it } from "vitest";
import type { HttpUpstream, UpstreamHttp } from "../src/router/upstream.ts";
import { openCaller } from "./support/callers.ts";
import { startCarryingHost } from "./support/carrying-host.ts";
import { listenAt, socketsOf } from "./support/providers.ts";
import { createSelfSigned } from "./support/self-signed.ts";

const provider = await createSelfSigned("provider.test");
const client = await createSelfSigned("host.test");

/** A provider over TLS that answers with the name in its caller's certificate, and the protocol. */
async function startSecureProvider(http: "1.1" | "2", options: TlsOptions = {}) {
  const { cert, key } = provider;
  const server =
    http === "2"
      ? createSecureServer({ cert, key, ...options }).on("stream", (stream) => {
          const socket = stream.session?.socket as TLSSocket;
          stream.on("error", () => {});
          stream.respond({ ":status": 200 });
          stream.end(`${socket.getPeerCertificate().subject?.CN} over ${socket.alpnProtocol}`);
        })
      : createServer({ cert, key, ...options }, ({ socket }, response) => {
          const secure = socket as TLSSocket;
          response.end(`${secure.getPeerCertificate().subject?.CN} over ${secure.alpnProtocol}`);
        });
  const sockets = socketsOf(server);
  server.on("tlsClientError", () => {}); // the caller tells
  const port = Number(await listenAt(server));
  return {
    at: (httpVersion: UpstreamHttp, servername = "provider.test"): HttpUpstream => ({
      kind: "http",
      secure: true,
      address: "127.0.0.1",
      port,
      authority: `${servername}:${port}`,
      servername,
      basePath: "",
      http: httpVersion,
    }),
    [Symbol.asyncDispose]: () => sockets.close(),
  };
}

describe("a provider over TLS", () => {
  const agreed = [
    { speaks: "2", told: "2", alpn: "h2" },
    { speaks: "2", told: "auto", alpn: "h2" },
    { speaks: "1.1", told: "1.1", alpn: "http/1.1" },
    { speaks: "1.1", told: "auto", alpn: "http/1.1" },
  ] as const;
  it.each(agreed)("of HTTP/$speaks, told to be $told, is spoken to in what TLS agreed on", async (row) => {
    await using server = await startSecureProvider(row.speaks);
    await using host = await startCarryingHost({ upstreams: [server.at(row.told)], tls: { ca: provider.cert } });
    await using caller = await openCaller(host.port, "2");
    for (const body of [undefined, "with a body"]) {
      const answer = await caller.call({ path: "/to/x", ...(body && { body }) });
      expect(answer.body.toString()).toBe(`undefined over ${row.alpn}`);
    }
  });

  it.each([
    { name: "authority nobody trusts", tls: {}, servername: "provider.test" },
    { name: "name is another", tls: { ca: provider.cert }, servername: "other.test" },
  ])("whose $name gets nothing", async ({ tls, servername }) => {
    for (const http of ["1.1", "2"] as const) {
      await using server = await startSecureProvider(http);
      await using host = await startCarryingHost({ upstreams: [server.at(http, servername)], tls });
      await using caller = await openCaller(host.port, "2");
      expect((await caller.call({ path: "/to/x" })).status).toBe(502);
      expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "tls", replayable: true });
    }
  });

  it.each(["1.1", "2"] as const)("that asks for a certificate is shown it (HTTP/%s)", async (http) => {
    await using server = await startSecureProvider(http, { requestCert: true, ca: client.cert });
    const tls = { ca: provider.cert, cert: client.cert, key: client.key };
    await using host = await startCarryingHost({ upstreams: [server.at(http)], tls });
    await using caller = await openCaller(host.port, "2");
    const answer = await caller.call({ path: "/to/x" });
    expect(answer.body.toString()).toMatch(/^host\.test over /);
  });

  it("that asks for a certificate and gets none refuses, which is no fault of its HTTP", async () => {
    await using server = await startSecureProvider("2", { requestCert: true, ca: client.cert });
    await using host = await startCarryingHost({ upstreams: [server.at("auto")], tls: { ca: provider.cert } });
    await using caller = await openCaller(host.port, "2");
    await caller.call({ path: "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "tls" });
  });

  it("that does not speak TLS at all is told from one that is not there", async () => {
    const server = createServer({});
    server.on("connection", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const sockets = socketsOf(server);
    const port = Number(await listenAt(server));
    const upstream: HttpUpstream = {
      kind: "http",
      secure: true,
      address: "127.0.0.1",
      port,
      authority: "provider.test",
      servername: "provider.test",
      basePath: "",
      http: "auto",
    };
    await using host = await startCarryingHost({ upstreams: [upstream] });
    await using caller = await openCaller(host.port, "2");
    await caller.call({ path: "/to/x" });
    expect(await host.nextEnd()).toMatchObject({ kind: "unsent", cause: "tls" });
    await sockets.close();
  });

  it("is trusted by the authorities of today: they can be replaced while calls run", async () => {
    await using server = await startSecureProvider("2");
    let replace = (_material: TlsMaterial): void => {};
    let stopped = 0;
    const updates = (apply: (material: TlsMaterial) => void) => {
      replace = apply;
      return () => void stopped++;
    };
    const tls = { ca: client.cert, updates };
    const host = await startCarryingHost({ upstreams: [server.at("2")], tls });
    await using caller = await openCaller(host.port, "2");
    expect((await caller.call({ path: "/to/x" })).status).toBe(502);
    replace({ ca: provider.cert });
    expect((await caller.call({ path: "/to/x" })).status).toBe(200);
    replace({ ca: client.cert });
    expect((await caller.call({ path: "/to/x" })).status).toBe(502);
    await host[Symbol.asyncDispose]();
    expect(stopped).toBe(1);
  });

  it("needs material that can be used", async () => {
    await expect(startCarryingHost({ upstreams: [], tls: { cert: "no certificate" } })).rejects.toThrow(/tls\.cert/);
  });
});
