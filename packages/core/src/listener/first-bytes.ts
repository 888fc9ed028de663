import type { Readable } from "node:stream";

/** What a connection begins with. */
export type FirstBytes = "tls" | "http1" | "http2";

// https://www.rfc-editor.org/rfc/rfc9113#section-3.4
const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
// Content type of a TLS record that carries a handshake, https://www.rfc-editor.org/rfc/rfc8446#section-5.1
const tlsHandshake = 0x16;

/** What the bytes are the beginning of; undefined while more are needed to tell. Anything unknown is for HTTP/1 to refuse. */
export function classifyFirstBytes(bytes: Uint8Array): FirstBytes | undefined {
  const length = Math.min(bytes.length, http2Preface.length);
  if (length === 0) return undefined;
  if (bytes[0] === tlsHandshake) return "tls";
  if (!http2Preface.subarray(0, length).equals(bytes.subarray(0, length))) return "http1";
  return length === http2Preface.length ? "http2" : undefined;
}

/**
 * Calls `onKnown`, synchronously with the event that brought the deciding byte, and leaves the socket as if nothing had
 * been read. Until then a peer that ends its side is cut. The returned function gives up.
 */
export function readFirstBytes(socket: Readable, onKnown: (first: FirstBytes) => void): () => void {
  // Kept here: bytes put back too early would make the socket readable again at once, over and over.
  let received = Buffer.alloc(0);
  const stop = () => {
    socket.off("readable", onReadable);
    socket.off("end", onEnd);
  };
  const onEnd = () => {
    stop();
    socket.destroy();
  };
  const onReadable = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      received = Buffer.concat([received, chunk]);
    }
    const first = classifyFirstBytes(received);
    if (first === undefined) return;
    stop();
    socket.unshift(received);
    onKnown(first);
  };
  socket.on("readable", onReadable);
  socket.on("end", onEnd);
  return stop;
}
