import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { isIPv4 } from "node:net";
import { TLSSocket } from "node:tls";
import type { Peer, PeerTls } from "@cpg/resilience";
import type { NodeServerRequest } from "./node-handler.ts";

/** The peer on the other end of a socket of a listener. */
export function createPeer(socket: Socket, network: "tcp" | "unix"): Peer {
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
const unknownPeer: Peer = { network: "tcp", address: undefined, port: undefined, tls: undefined };

export function rememberPeer(carrier: object, peer: Peer): void {
  peers.set(carrier, peer);
}

/**
 * The other end of the connection that a request came on: the same object for all requests of one connection. A request
 * that came through no listener of ours, or whose HTTP/2 session has ended, has a peer without an address.
 */
export function peerOf(request: NodeServerRequest): Peer {
  const carrier = "stream" in request ? request.stream.session : request.socket;
  return (carrier && peers.get(carrier)) ?? unknownPeer;
}
