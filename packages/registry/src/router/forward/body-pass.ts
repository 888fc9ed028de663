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

/** Chunks are put together up to this size. */
const maxJoinedBytes = 16 * 1024;

/**
 * One direction of a call: passes a body on as it comes, and lets its source wait while its sink is full.
 *
 * What comes in one read is held until all of it is here, or until the end that is here already, and goes out as one: small
 * chunks cost by their number. A last chunk and the end travel together, too. Apart they would be two writes to the
 * network, of which Node starts the second once the first is done. Held are at most `maxJoinedBytes`, or one chunk.
 */
export class BodyPass {
  readonly #source: BodySource;
  readonly #sink: BodySink;
  #held: Buffer | undefined;
  #more: Buffer[] | undefined;
  #heldBytes = 0;
  #scheduled = false;
  #stopped = false;

  constructor(source: BodySource, sink: BodySink) {
    this.#source = source;
    this.#sink = sink;
  }

  /** What the source gives. */
  data(chunk: Buffer): void {
    if (this.#stopped) return;
    if (this.#heldBytes + chunk.length > maxJoinedBytes) this.#flush();
    if (this.#held === undefined) this.#held = chunk;
    else if (this.#more === undefined) this.#more = [chunk];
    else this.#more.push(chunk);
    this.#heldBytes += chunk.length;
    // With the end here, that comes next.
    if (this.#scheduled || this.#source.arrived) return;
    this.#scheduled = true;
    afterBatch(() => this.#onBatchOver());
  }

  /** The source has ended. */
  end(trailers: readonly string[]): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#sink.end(this.#take(), trailers);
  }

  /** The sink has room again. */
  drained(): void {
    if (!this.#stopped) this.#source.resume();
  }

  /** Nothing more is passed. */
  stop(): void {
    this.#stopped = true;
    this.#take();
  }

  #onBatchOver(): void {
    this.#scheduled = false;
    if (!this.#stopped && !this.#source.arrived) this.#flush();
  }

  #flush(): void {
    const chunk = this.#take();
    if (chunk !== undefined && !this.#sink.write(chunk)) this.#source.pause();
  }

  #take(): Buffer | undefined {
    const held = this.#held;
    const taken = this.#more === undefined || held === undefined ? held : Buffer.concat([held, ...this.#more]);
    this.#held = undefined;
    this.#more = undefined;
    this.#heldBytes = 0;
    return taken;
  }
}
