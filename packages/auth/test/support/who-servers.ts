import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { createServer as createSecureHttp1 } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Client, createClient, createContextValues, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import {
  type AuthProvider,
  behindCertificateGate,
  type CertificateGate,
  type ClientTls,
  rotateTls,
  type ServerTls,
} from "@cpg/auth";
import { definePlugin, openCallTransport, parseEndpoint, serve } from "@cpg/core";
import { nodePeer, peerKey } from "@cpg/resilience";
import { createWho, WhoService } from "./who-service.ts";

export type HttpVersion = "1.1" | "2";

export interface WhoServer extends AsyncDisposable {
  readonly url: string;
  /** Why TLS let somebody not in. */
  readonly handshakeErrors: readonly string[];
  /** A client with connections of its own; they close with the server. */
  open(tls: ClientTls, httpVersion: HttpVersion): Client<typeof WhoService>;
}

export interface WhoServerOptions {
  readonly tls: ServerTls;
  readonly auth: AuthProvider;
  readonly gate?: CertificateGate | undefined;
  readonly maxRequestsPerConnection?: number | undefined;
  readonly impl?: ServiceImpl<typeof WhoService> | undefined;
}

const who = definePlugin({ name: "who", version: "1.0.0", service: WhoService });

/** Behind `serve`, called by the transports of @cpg/core. */
export async function startCoreServer(options: WhoServerOptions): Promise<WhoServer> {
  const { tls, auth, gate, maxRequestsPerConnection, impl = createWho() } = options;
  const handshakeErrors: string[] = [];
  const server = await serve({
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
    link: false,
    plugins: { who },
    impls: { who: impl },
    tls,
    gate,
    limits: maxRequestsPerConnection === undefined ? {} : { maxRequestsPerConnection },
    interceptors: [auth.serverInterceptor()],
    graceMs: 0,
    onError: (error) => handshakeErrors.push(String(error)),
  });
  const transports: { close(): Promise<void> }[] = [];
  const url = server.endpoint.replace("127.0.0.1", "localhost");
  return {
    url,
    handshakeErrors,
    open(clientTls, httpVersion) {
      const calls = openCallTransport({ endpoint: parseEndpoint(url), httpVersion, tls: clientTls });
      transports.push(calls);
      return createClient(WhoService, calls.transport);
    },
    async [Symbol.asyncDispose]() {
      for (const transport of transports) await transport.close();
      await server.close();
    },
  };
}

/** Behind Node's own servers, called by the transports of connect-node. */
async function startNodeServer(options: WhoServerOptions & { readonly httpVersion: HttpVersion }): Promise<WhoServer> {
  const { tls, auth, gate, httpVersion } = options;
  const handler = connectNodeAdapter({
    routes: (router) => router.service(WhoService, createWho()),
    interceptors: [auth.serverInterceptor()],
    contextValues: (request) => createContextValues().set(peerKey, nodePeer(request)),
  });
  const handle = gate === undefined ? handler : behindCertificateGate(gate, handler);
  const server = httpVersion === "2" ? createSecureServer(tls, handle) : createSecureHttp1(tls, handle);
  const handshakeErrors: string[] = [];
  const sockets = new Set<TLSSocket>();
  server.on("tlsClientError", (_, socket) => handshakeErrors.push(String(socket.authorizationError)));
  server.on("secureConnection", (socket) => sockets.add(socket));
  rotateTls(server, tls);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  return {
    url,
    handshakeErrors,
    open(clientTls, version) {
      return createClient(
        WhoService,
        createConnectTransport({ baseUrl: url, httpVersion: version, nodeOptions: clientTls }),
      );
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const startHttp1 = (options: WhoServerOptions) => startNodeServer({ ...options, httpVersion: "1.1" });
const startHttp2 = (options: WhoServerOptions) => startNodeServer({ ...options, httpVersion: "2" });

export const servers = [
  ["@cpg/core, HTTP/1.1", "1.1", startCoreServer],
  ["@cpg/core, HTTP/2", "2", startCoreServer],
  ["node:https and connect-node", "1.1", startHttp1],
  ["node:http2 and connect-node", "2", startHttp2],
] as const satisfies readonly (readonly [string, HttpVersion, (options: WhoServerOptions) => Promise<WhoServer>])[];
