import type { Http2Stream } from "node:http2";

/**
 * Resets a stream in the middle of what is being sent on it. Node's own `close` first ends the writable side, and with
 * nothing left to write that sends END_STREAM before the reset: a body that was cut off would look whole.
 */
export function resetStream(stream: Http2Stream, code: number): void {
  if (stream.closed || stream.destroyed) return;
  if (!stream.writableEnded) stream._final = neverFinish;
  stream.close(code);
}

/** The reset ends the stream. */
function neverFinish(): void {}
