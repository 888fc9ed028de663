import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Peer } from "@cpg/resilience";

/** By what a request carries: the socket of HTTP/1, the session of HTTP/2. */
const peers = new WeakMap<object, Peer>();
const unknownPeer: Peer = { network: "tcp", address: undefined, port: undefined, tls: undefined };

export function rememberPeer(carrier: object, peer: Peer): void {
  peers.set(carrier, peer);
}

/**
 * The other end of the connection that a request came on: the same object for all requests of one connection. A request
 * that came through no listener of ours, or whose HTTP/2 session has ended, has a peer without an address. The stream of a
 * request of HTTP/2 is enough.
 */
export function peerOf(request: Pick<IncomingMessage, "socket"> | Pick<Http2ServerRequest, "stream">): Peer {
  const carrier = "stream" in request ? request.stream.session : request.socket;
  return (carrier && peers.get(carrier)) ?? unknownPeer;
}
