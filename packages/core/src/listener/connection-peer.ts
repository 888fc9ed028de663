import type { Http2ServerRequest } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Peer, PeerTls } from "@cpg/resilience";
import type { NodeServerRequest } from "./node-handler.ts";

const peers = new WeakMap<object, Peer>();
const gone: Peer = { network: "tcp", address: undefined, port: undefined, tls: undefined };

/** The other end of a request's connection. The same object for every request of a connection. */
export function peerOf(request: NodeServerRequest): Peer {
  const connection = isHttp2(request) ? request.stream.session : request.socket;
  return (connection && peers.get(connection)) ?? gone;
}

/** Keeps the peer of a connection: `connection` is what its requests know, a socket or an HTTP/2 session. */
export function rememberPeer(connection: object, socket: Socket): void {
  peers.set(connection, describe(socket));
}

function isHttp2(request: NodeServerRequest): request is Http2ServerRequest {
  return "stream" in request;
}

function describe(socket: Socket): Peer {
  const { remoteAddress: address, remotePort: port } = socket;
  const tls = socket instanceof TLSSocket ? describeTls(socket) : undefined;
  return { network: address === undefined ? "unix" : "tcp", address, port, tls };
}

function describeTls(socket: TLSSocket): PeerTls {
  let certificate: ReturnType<TLSSocket["getPeerX509Certificate"]> | null = null;
  const { authorizationError } = socket;
  return {
    protocol: socket.getProtocol() ?? undefined,
    authorized: socket.authorized,
    authorizationError: authorizationError ? String(authorizationError) : undefined,
    certificate() {
      if (certificate === null) certificate = socket.getPeerX509Certificate();
      return certificate;
    },
  };
}
