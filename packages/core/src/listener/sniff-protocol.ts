import type { Socket } from "node:net";
import type { Clock } from "@cpg/resilience";

/** What a client sends first on HTTP/2, RFC 9113 section 3.4. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** First byte of a TLS handshake record, RFC 8446 section 5.1. */
const tlsHandshake = 0x16;

export type SniffedProtocol = "http1" | "http2" | "tls";

export interface SniffOptions {
  readonly clock: Clock;
  /** A connection that has not shown its protocol by then is cut. */
  readonly timeoutMs: number;
  /** Gets the connection with nothing read from it. Not called for one that ends or errs before. */
  onProtocol(protocol: SniffedProtocol): void;
}

/** Reads the first bytes of a connection, until they tell which protocol it speaks, and puts them back. */
export function sniffProtocol(socket: Socket, { clock, timeoutMs, onProtocol }: SniffOptions): void {
  let read = Buffer.alloc(0);
  const timer = new AbortController();

  const settle = (): void => {
    timer.abort(settled);
    socket.off("readable", onReadable);
    socket.off("error", onEnd);
    socket.off("end", onEnd);
    socket.off("close", onEnd);
  };
  const onEnd = (): void => {
    settle();
    socket.on("error", () => {}); // nothing is left to tell
    socket.destroy();
  };
  const onReadable = (): void => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      read = Buffer.concat([read, chunk]);
    }
    const protocol = recognise(read);
    if (protocol === undefined) return;
    settle();
    socket.unshift(read);
    onProtocol(protocol);
  };
  socket.on("readable", onReadable);
  socket.on("error", onEnd);
  socket.on("end", onEnd);
  socket.on("close", onEnd);
  clock.sleep(timeoutMs, timer.signal).then(onEnd, () => {});
}

/** A constant reason: an abort without one makes an exception with a stack. */
const settled = "the protocol is known";

/** Undefined while the bytes may still become the preface of HTTP/2. */
function recognise(bytes: Buffer): SniffedProtocol | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === tlsHandshake) return "tls";
  const known = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, known, 0, known) !== 0) return "http1";
  return known === preface.length ? "http2" : undefined;
}
