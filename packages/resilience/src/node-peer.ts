import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { isIPv4, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Peer, PeerTls } from "./peer.ts";

/** The peer on the other end of a socket that a server accepted. */
export function socketPeer(socket: Socket, network: "tcp" | "unix"): Peer {
  return {
    network,
    address: socket.remoteAddress === undefined ? undefined : withoutMapping(socket.remoteAddress),
    port: socket.remotePort,
    tls: socket instanceof TLSSocket ? createPeerTls(socket) : undefined,
  };
}

function createPeerTls(socket: TLSSocket): PeerTls {
  let certificate: X509Certificate | undefined;
  const readCertificate = () => {
    certificate ??= socket.getPeerX509Certificate();
    return certificate;
  };
  const error: unknown = socket.authorizationError;
  return {
    protocol: socket.getProtocol() ?? undefined,
    // Node before 24 calls a peer authorized that resumed a TLS 1.3 session without any certificate.
    authorized: socket.authorized && readCertificate() !== undefined,
    authorizationError: error === undefined || error === null ? undefined : String(error),
    certificate: readCertificate,
  };
}

/** A listener on every IPv6 interface sees IPv4 peers as ::ffff:192.0.2.1. */
function withoutMapping(address: string): string {
  const plain = address.replace(/^::ffff:/i, "");
  return isIPv4(plain) ? plain : address;
}

/** By what a request carries: the socket of HTTP/1, the session of HTTP/2. */
const peers = new WeakMap<object, Peer>();
const unknownPeer: Peer = Object.freeze({ network: "tcp", address: undefined, port: undefined, tls: undefined });

/**
 * The other end of the connection that a request of Node's HTTP servers came on, HTTP/1.1 or HTTP/2: the same object for
 * all requests of one connection. A request whose connection has ended has a peer without an address. Servers of
 * @cpg/core set `peerKey` themselves; with another server, set it where Connect asks for context values.
 * @example
 * connectNodeAdapter({ routes, contextValues: (request) => createContextValues().set(peerKey, nodePeer(request)) });
 */
export function nodePeer(request: IncomingMessage | Http2ServerRequest): Peer {
  const carrier = "stream" in request ? request.stream.session : request.socket;
  if (carrier === undefined || carrier === null || carrier.destroyed) return unknownPeer;
  const known = peers.get(carrier);
  if (known !== undefined) return known;
  const socket = "socket" in carrier ? carrier.socket : carrier;
  const peer = socketPeer(socket, isOnPath(socket) ? "unix" : "tcp");
  peers.set(carrier, peer);
  return peer;
}

/** A socket that has ended has no address either, so it is the server that has to say so. */
function isOnPath(socket: Socket): boolean {
  const { server } = socket as { server?: { address?: () => unknown } };
  return typeof server?.address?.() === "string";
}
