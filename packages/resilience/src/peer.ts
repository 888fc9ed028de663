import type { X509Certificate } from "node:crypto";
import { type ContextKey, createContextKey } from "@connectrpc/connect";

/** The other end of the connection that a call arrived on. */
export interface Peer {
  /** "memory": no socket at all. */
  readonly network: "tcp" | "unix" | "memory";
  /** IP address; undefined unless the network is TCP. */
  readonly address: string | undefined;
  readonly port: number | undefined;
  /** Undefined when the connection is not encrypted. */
  readonly tls: PeerTls | undefined;
}

export interface PeerTls {
  /** For example "TLSv1.3". */
  readonly protocol: string | undefined;
  /** Whether the peer presented a certificate and it was verified. */
  readonly authorized: boolean;
  /** Why it was not. */
  readonly authorizationError: string | undefined;
  /** The certificate that the peer presented, verified or not. */
  certificate(): X509Certificate | undefined;
}

/** The peer of the connection, in the context values of a call on the server. */
export const peerKey: ContextKey<Peer | undefined> = createContextKey<Peer | undefined>(undefined, {
  description: "peer of the connection",
});
