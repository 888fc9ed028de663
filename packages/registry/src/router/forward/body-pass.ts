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

/**
 * One direction of a call: passes a body on as it comes, and lets its source wait while its sink is full. It holds one chunk
 * at most.
 *
 * That is the last one, so that it travels with the end: apart they would be two writes to the network, of which Node starts
 * the second once the first is done. Whether a chunk is the last is known if the end is here already; of the first, which
 * often is the only one, it is found out by holding it until all that came with it has been looked at. The others are passed
 * on at once: put together they would cost more than Node needs to write them one by one.
 */
export class BodyPass {
  readonly #source: BodySource;
  readonly #sink: BodySink;
  #held: Buffer | undefined;
  #first = true;
  #stopped = false;

  constructor(source: BodySource, sink: BodySink) {
    this.#source = source;
    this.#sink = sink;
  }

  /** What the source gives. */
  data(chunk: Buffer): void {
    if (this.#stopped) return;
    this.#flush();
    if (this.#source.arrived) {
      this.#held = chunk;
    } else if (this.#first) {
      this.#held = chunk;
      afterBatch(() => this.#onBatchOver());
    } else {
      this.#write(chunk);
    }
    this.#first = false;
  }

  /** The source has ended. */
  end(trailers: readonly string[]): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const last = this.#held;
    this.#held = undefined;
    this.#sink.end(last, trailers);
  }

  /** The sink has room again. */
  drained(): void {
    if (!this.#stopped) this.#source.resume();
  }

  /** Nothing more is passed. */
  stop(): void {
    this.#stopped = true;
    this.#held = undefined;
  }

  #onBatchOver(): void {
    // With the end here, that comes next.
    if (!this.#stopped && !this.#source.arrived) this.#flush();
  }

  #flush(): void {
    const chunk = this.#held;
    if (chunk === undefined) return;
    this.#held = undefined;
    this.#write(chunk);
  }

  #write(chunk: Buffer): void {
    if (!this.#sink.write(chunk)) this.#source.pause();
  }
}
