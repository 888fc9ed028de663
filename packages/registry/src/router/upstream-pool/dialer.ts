import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type SecureContext, TLSSocket } from "node:tls";
import type { Clock } from "@cpg/resilience";
import type { SocketUpstream } from "../forward/forwarder.ts";
import { UnsentError, unsentError } from "./unsent-error.ts";

export interface DialerOptions {
  readonly upstream: SocketUpstream;
  /** Bound on TCP and TLS together, in ms. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** What TLS shows and trusts, at this moment. */
  secureContext(): SecureContext;
  /** A socket has closed. */
  onClosed(): void;
}

/** Opens sockets to one provider, and ends all of them. */
export interface Dialer {
  /** For messages. */
  readonly where: string;
  /** Sockets that are open or being opened. */
  readonly open: number;
  /** A socket on which bytes can flow. Rejects with an UnsentError, in bounded time. `alpn`: what TLS offers. */
  dial(alpn: readonly string[]): Promise<Socket>;
  /** Destroys every socket; later ones are not opened. Resolves when all are closed. */
  close(error: Error): Promise<void>;
}

/** Time without traffic after which the kernel asks whether the other machine is still there. */
const tcpKeepAliveMs = 20_000;

export function createDialer(options: DialerOptions): Dialer {
  const { upstream, connectTimeoutMs, clock, secureContext, onClosed } = options;
  const sockets = new Set<Socket>();
  const where = upstream.kind === "unix" ? `unix:${upstream.path}` : `${upstream.address}:${upstream.port}`;
  let closed: UnsentError | undefined;

  const openSocket = (alpn: readonly string[]): Socket => {
    if (upstream.kind === "unix") return connectTcp({ path: upstream.path });
    const { address: host, port, secure, servername } = upstream;
    const address = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs };
    if (!secure) return connectTcp(address);
    const named = servername === undefined ? {} : { servername };
    const socket = connectTls({ ...address, ...named, secureContext: secureContext(), ALPNProtocols: [...alpn] });
    // Node 22 does not take it from the options here, and each call of HTTP/1.1 would wait for a delayed ACK.
    return socket.setNoDelay(true);
  };

  return {
    where,
    get open() {
      return sockets.size;
    },
    async dial(alpn) {
      if (closed !== undefined) throw closed;
      const socket = openSocket(alpn);
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        onClosed();
      });
      const timer = new AbortController();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let stage: "connect" | "tls" = "connect";
      const onError = (reason: unknown): void => reject(unsentError(stage, where, closed ?? reason));
      const onClose = (): void => onError(new Error("the peer closed the connection"));
      socket.once("connect", () => {
        stage = "tls";
        if (!(socket instanceof TLSSocket)) resolve();
      });
      socket.once("secureConnect", resolve);
      socket.once("close", onClose);
      // Stays: nobody else may listen while the socket changes hands.
      socket.on("error", onError);
      clock.sleep(connectTimeoutMs, timer.signal).then(
        () => reject(new UnsentError("timeout", `no connection to ${where} within ${connectTimeoutMs} ms`)),
        () => {}, // it is there, or has failed
      );
      try {
        await promise;
        return socket;
      } catch (reason) {
        socket.destroy();
        throw reason;
      } finally {
        timer.abort(dialed);
        socket.off("close", onClose);
      }
    },
    async close(error) {
      closed ??= new UnsentError("closed", error.message, error);
      const ends = [...sockets].map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve())));
      for (const socket of sockets) socket.destroy(error);
      await Promise.all(ends);
    },
  };
}

const dialed = new Error("dialed");
