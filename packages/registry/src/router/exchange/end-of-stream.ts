import type { Http2Stream } from "node:http2";
import { Readable } from "node:stream";
import { afterBatch } from "./after-batch.ts";

/**
 * Whether the peer has ended its side of a stream, told by what Node pushes to it. Node itself ends the readable side also
 * when the peer resets the stream with NO_ERROR, or the stream is destroyed: a body that was cut off would look whole. And
 * it tells of an end only once all that came before it was read.
 *
 * A class, and no closure for each stream: a routed call is made of such objects, and they are most of what it costs.
 */
export class EndOfStream {
  arrived: boolean;
  #waiting: (() => void) | undefined;

  /** @param arrived whether the end is known to be here. */
  constructor(stream: Http2Stream, arrived: boolean) {
    this.arrived = arrived;
    const followed: FollowedStream = stream;
    followed[ending] = this;
    followed.push = pushFollowed;
  }

  /**
   * Calls back one time: with the end, or else when all that came together with the present frame has been handled.
   * Trailers have been told by then.
   */
  whenKnown(callback: () => void): void {
    this.#waiting = callback;
    if (this.arrived) process.nextTick(tell, this);
    else afterBatch(() => this.tell());
  }

  tell(): void {
    const callback = this.#waiting;
    this.#waiting = undefined;
    callback?.();
  }

  end(): void {
    this.arrived = true;
    if (this.#waiting !== undefined) process.nextTick(tell, this);
  }
}

const ending: unique symbol = Symbol("end of stream");

interface FollowedStream extends Http2Stream {
  [ending]?: EndOfStream;
}

function pushFollowed(this: FollowedStream, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed && this[ending]?.arrived === false) this[ending].end();
  return Readable.prototype.push.call(this, chunk, encoding);
}

function tell(end: EndOfStream): void {
  end.tell();
}
