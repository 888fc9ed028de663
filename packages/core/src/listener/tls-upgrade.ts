import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { followTlsUpdates } from "../internal/tls-updates.ts";
import { resolveServerTls, type ServerTlsOptions } from "./server-tls.ts";

export interface TlsUpgrade {
  /** Speaks TLS on an accepted socket; `onSecure` gets the socket that does, unless the handshake fails or takes too long. */
  start(socket: Socket, onSecure: (secure: TLSSocket) => void): void;
  /** Stops to follow updates of certificates. */
  close(): void;
}

/** `onError` hears of failed handshakes. */
export function createTlsUpgrade(
  options: ServerTlsOptions,
  handshakeTimeoutMs: number,
  onError: (error: unknown) => void,
): TlsUpgrade {
  // It never listens: it is given the sockets that another server accepted.
  const server = createServer(resolveServerTls(options, handshakeTimeoutMs));
  // New keys for session tickets come with it: nobody resumes a session that an older certificate began.
  const stopUpdates = followTlsUpdates(options.updates, (material) => {
    server.setSecureContext(resolveServerTls({ ...options, ...material }, handshakeTimeoutMs));
  });
  // Node does not tell which socket a secure one stands on, but both have the same two ends.
  const waiting = new Map<string, (secure: TLSSocket) => void>();

  server.on("secureConnection", (secure) => {
    const onSecure = waiting.get(endsOf(secure));
    waiting.delete(endsOf(secure));
    if (onSecure === undefined) secure.destroy();
    else onSecure(secure);
  });
  server.on("tlsClientError", (error, secure) => {
    onError(explain(error, secure));
    secure.destroy();
  });
  return {
    start(socket, onSecure) {
      const ends = endsOf(socket);
      waiting.set(ends, onSecure);
      socket.once("close", () => {
        if (waiting.get(ends) === onSecure) waiting.delete(ends);
      });
      // Their own end of the connection is all that TLS needs to keep open.
      socket.allowHalfOpen = false;
      server.emit("connection", socket);
    },
    close: stopUpdates,
  };
}

/** Of a certificate that was not verified, Node's error says only that the socket was closed. */
function explain(error: Error, { authorizationError }: TLSSocket): Error {
  const reason: unknown = authorizationError;
  if (reason === undefined || reason === null) return error;
  return new Error(`client certificate not verified: ${String(reason)}`, { cause: error });
}

function endsOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}
