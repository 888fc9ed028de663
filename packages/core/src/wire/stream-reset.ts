import type { ClientHttp2Stream } from "node:http2";

/** Node tells the code of a reset only on the stream, and the error that it raises travels without the stream. */
const codes = new WeakMap<Error, number>();

/** Has to be called before others listen for errors of the stream. */
export function rememberReset(stream: ClientHttp2Stream): void {
  stream.once("error", (error) => codes.set(error, stream.rstCode));
}

/** HTTP/2 error code with which the peer reset the stream that raised this error. */
export function resetCodeOf(error: Error): number | undefined {
  return codes.get(error);
}
