import { connect as connectTcp, isIP, Socket } from "node:net";
import { connect as connectTls, type SecureContext, type SecureContextOptions } from "node:tls";
import type { Clock } from "@cpg/resilience";
import type { TlsMaterial, TlsUpdates } from "../internal/tls-updates.ts";
import { type ConnectionStage, connectionFailed } from "./call-error.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * TLS of a client, in the terms of `node:tls`: `ca` are the authorities to trust instead of Node's own, `cert` and `key` are
 * for servers that ask for a certificate.
 */
export interface ClientTlsOptions extends TlsMaterial {
  /** Name to ask for and to find in the certificate. Default: the host of the endpoint. */
  readonly servername?: string | undefined;
  /** Whether a certificate that does not verify ends the connection. Default true. */
  readonly rejectUnauthorized?: boolean | undefined;
  /** Default "TLSv1.2". */
  readonly minVersion?: SecureContextOptions["minVersion"];
  /**
   * Replaces certificate, key, authorities and revocation lists while calls run: later calls travel over new connections,
   * those in flight finish on theirs. Default: they stay.
   */
  readonly updates?: TlsUpdates | undefined;
}

export interface DialerOptions {
  readonly endpoint: Endpoint;
  readonly tls: ClientTlsOptions | undefined;
  /** What `tls` says of certificates, keys and versions; for an https endpoint. */
  readonly secureContext: SecureContext | undefined;
  /** What TLS offers as the protocol above it. */
  readonly alpn: "h2" | "http/1.1";
  /** Bound on the TCP connection and the TLS handshake together, in ms. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

/** Opens sockets to one endpoint, and ends all of them. */
export interface Dialer {
  /**
   * A socket that is connecting. It destroys itself with `unavailable` when it is not ready within the bound. `ready`
   * resolves when bytes can flow, rejects with the reason of the failure, and may be ignored.
   */
  dial(): { readonly socket: Socket; readonly ready: Promise<void> };
  /** What TLS shows and trusts on sockets that are dialed from now on. */
  useSecureContext(context: SecureContext): void;
  /** Destroys every open socket with the error; resolves when all are closed. */
  destroy(error: Error): Promise<void>;
  /** `destroy`, and sockets that are dialed later end with the error at once. */
  close(error: Error): Promise<void>;
}

/** Time without traffic after which the kernel asks whether the other machine is still there. */
const tcpKeepAliveMs = 20_000;

export function createDialer(options: DialerOptions): Dialer {
  const { endpoint, connectTimeoutMs, clock } = options;
  const secure = endpoint.kind === "tcp" && endpoint.secure;
  const open = new Set<Socket>();
  let { secureContext } = options;
  let closed: Error | undefined;

  const dial = () => {
    if (closed !== undefined) return deadSocket(closed);
    const socket = openSocket({ ...options, secureContext });
    open.add(socket);
    let stage: ConnectionStage = "connect";
    const timer = new AbortController();
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    ready.catch(() => {}); // the socket's own error event tells the same
    socket.once("connect", () => {
      stage = "tls";
      if (!secure) onReady();
    });
    socket.once("secureConnect", onReady);
    socket.once("error", reject);
    socket.once("close", () => {
      open.delete(socket);
      timer.abort();
      reject(connectionFailed(endpoint, stage, "the peer closed the connection"));
    });
    clock.sleep(connectTimeoutMs, timer.signal).then(
      () => socket.destroy(connectionFailed(endpoint, stage, `not done within ${connectTimeoutMs} ms`)),
      () => {}, // connected, or closed
    );
    function onReady(): void {
      timer.abort();
      resolve();
    }
    return { socket, ready };
  };

  const destroy = async (error: Error): Promise<void> => {
    const ends = [...open].map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve())));
    for (const socket of open) {
      // A socket in Node's agent may have no listener at this moment.
      socket.on("error", () => {});
      socket.destroy(error);
    }
    await Promise.all(ends);
  };
  return {
    dial,
    useSecureContext(context) {
      secureContext = context;
    },
    destroy,
    close(error) {
      closed = error;
      return destroy(error);
    },
  };
}

/** For Node's agent, which has no other way to fail a call that waits for a socket. */
function deadSocket(error: Error): { readonly socket: Socket; readonly ready: Promise<void> } {
  const socket = new Socket();
  socket.on("error", () => {});
  setImmediate(() => socket.destroy(error)); // not before the call listens
  const ready = Promise.reject(error);
  ready.catch(() => {});
  return { socket, ready };
}

function openSocket({ endpoint, tls = {}, secureContext, alpn }: DialerOptions): Socket {
  if (endpoint.kind === "unix") return connectTcp({ path: endpoint.path });
  const { host, port } = endpoint;
  const address = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs };
  if (!endpoint.secure) return connectTcp(address);
  const { servername = isIP(host) === 0 ? host : undefined, rejectUnauthorized = true } = tls;
  const socket = connectTls({
    ...address,
    ALPNProtocols: [alpn],
    rejectUnauthorized,
    ...(secureContext === undefined ? {} : { secureContext }),
    ...(servername === undefined ? {} : { servername }),
  });
  // Node 22 does not take it from the options here, and each call of HTTP/1.1 would wait for a delayed ACK.
  return socket.setNoDelay(true);
}
