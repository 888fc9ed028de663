import { afterBatch } from "../exchange/after-batch.ts";

/** Where a body goes. */
export interface BodySink {
  /** False: nothing more for now. */
  write(chunk: Buffer): boolean;
  end(last: Buffer | undefined, trailers: readonly string[]): void;
}

/** Where a body comes from. */
export interface BodySource {
  /** Its last byte is here: its end comes without more from the network. */
  readonly arrived: boolean;
  pause(): void;
  resume(): void;
}

/** One direction of a call. */
export interface BodyPass {
  /** What the source gives. */
  data(chunk: Buffer): void;
  /** The source has ended. */
  end(trailers: readonly string[]): void;
  /** The sink has room again. */
  drained(): void;
  /** Nothing more is passed. */
  stop(): void;
}

/** Chunks are put together up to this size. */
const maxJoinedBytes = 16 * 1024;

/**
 * Passes a body on as it comes, and lets its source wait while its sink is full.
 *
 * What comes in one read is held until all of it is here, or until the end that is here already, and goes out as one: small
 * chunks cost by their number. A last chunk and the end travel together, too. Apart they would be two writes to the
 * network, of which Node starts the second once the first is done. Held are at most `maxJoinedBytes`, or one chunk.
 */
export function createBodyPass(source: BodySource, sink: BodySink): BodyPass {
  let held: Buffer | undefined;
  let more: Buffer[] | undefined;
  let heldBytes = 0;
  let scheduled = false;
  let stopped = false;

  const take = (): Buffer | undefined => {
    const taken = more === undefined || held === undefined ? held : Buffer.concat([held, ...more], heldBytes);
    held = undefined;
    more = undefined;
    heldBytes = 0;
    return taken;
  };
  const flush = (): void => {
    const chunk = take();
    if (chunk !== undefined && !sink.write(chunk)) source.pause();
  };
  const onBatchOver = (): void => {
    scheduled = false;
    if (!stopped && !source.arrived) flush();
  };
  return {
    data(chunk) {
      if (stopped) return;
      if (heldBytes + chunk.length > maxJoinedBytes) flush();
      if (held === undefined) held = chunk;
      else if (more === undefined) more = [chunk];
      else more.push(chunk);
      heldBytes += chunk.length;
      if (scheduled) return;
      scheduled = true;
      afterBatch(onBatchOver);
    },
    end(trailers) {
      if (stopped) return;
      stopped = true;
      sink.end(take(), trailers);
    },
    drained() {
      if (!stopped) source.resume();
    },
    stop() {
      stopped = true;
      take();
    },
  };
}
