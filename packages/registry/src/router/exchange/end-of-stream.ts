import type { Http2Stream } from "node:http2";
import { afterBatch } from "./after-batch.ts";

/** Whether the peer has ended its side of a stream. */
export interface EndOfStream {
  readonly arrived: boolean;
  /**
   * Calls back one time: with the end, or else when all that came together with the present frame has been handled.
   * Trailers have been told by then.
   */
  whenKnown(callback: () => void): void;
}

/**
 * Follows a stream by what Node pushes to it. Node itself ends the readable side also when the peer resets the stream with
 * NO_ERROR, or the stream is destroyed: a body that was cut off would look whole. And it tells of an end only once all that
 * came before it was read.
 * @param arrived whether the end is known to be here.
 */
export function followEnd(stream: Http2Stream, arrived: boolean): EndOfStream {
  let waiting: (() => void) | undefined;
  const ending = {
    arrived,
    whenKnown(callback: () => void) {
      waiting = callback;
      if (ending.arrived) process.nextTick(tell);
      else afterBatch(tell);
    },
  };
  const tell = (): void => {
    const callback = waiting;
    waiting = undefined;
    callback?.();
  };
  const push = stream.push;
  stream.push = (chunk, encoding) => {
    if (chunk === null && !ending.arrived && !stream.closed) {
      ending.arrived = true;
      if (waiting !== undefined) process.nextTick(tell);
    }
    return push.call(stream, chunk, encoding);
  };
  return ending;
}
