import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

const statuses = new Map([
  ["HPE_HEADER_OVERFLOW", 431],
  ["HPE_CHUNK_EXTENSIONS_OVERFLOW", 413],
  ["ERR_HTTP_REQUEST_TIMEOUT", 408],
]);

/**
 * Answers what is no HTTP/1 request, as Node's own server does when nobody listens to 'clientError', and ends the
 * connection. No answer if one is being sent: it would run into that one.
 */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, answering: boolean): void {
  if (socket.writable && !answering && error.code !== "ECONNRESET") {
    const status = statuses.get(error.code ?? "") ?? 400;
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
  }
  socket.destroy(error);
}
