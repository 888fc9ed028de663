import type { ExchangeEnd } from "./exchange.ts";

/** What an exchange tells who carries its bytes. Nothing after `onClosed`, nor after `CallerStream.release`. */
export interface CallerEvents {
  /** A part of the request's body. */
  onData(chunk: Buffer): void;
  /** The request's body has ended. `trailers`: names, in lower case, and values in turn. */
  onEnd(trailers: readonly string[]): void;
  /** There is room for more of the answer, after a `write` that returned false. */
  onDrain(): void;
  /** The exchange has ended, by whomever. */
  onClosed(end: ExchangeEnd): void;
}

/**
 * What follows the head of a message. "none": nothing; "data": a body without trailers; "trailed": a body, after which
 * trailers may come.
 */
export type BodyForm = "none" | "data" | "trailed";

/** The bytes of one exchange, in both directions. */
export interface CallerStream {
  /** What follows the request's head, as far as is known now. With "none" neither `onData` nor `onEnd` is called. */
  readonly body: BodyForm;
  /** The last byte of the request's body has arrived: `onEnd` comes without more from the network. */
  readonly arrived: boolean;
  /** Calls back once, when `body` says what it can: all that came together with the head has been looked at. */
  whenKnown(callback: () => void): void;
  /** Begins to read the request's body; and after `pause`, goes on. */
  resume(): void;
  pause(): void;
  /** Passes an interim answer, 1xx, as far as the caller's protocol knows it. */
  inform(status: number, headers: readonly string[]): void;
  /**
   * The answer begins; with "none" it also ends. `headers`: names, in lower case, and values in turn, end-to-end ones only.
   * @throws {Error} of Node when they cannot be written in the caller's version of HTTP; then nothing was answered.
   */
  respond(status: number, headers: readonly string[], body: BodyForm): void;
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean;
  /** The answer ends. `trailers`: names, in lower case, and values in turn; lost if the answer was not "trailed". */
  end(last: Buffer | undefined, trailers: readonly string[]): void;
  /** The rest of the request's body is not wanted: the caller is told, once its answer is sent. */
  stop(): void;
  /** Ends the exchange in the middle of its answer: HTTP/2 resets it with the code, HTTP/1.1 cuts the connection. */
  reset(code: number): void;
  /** Whether the request can be carried once more: all that was read of its body is kept. */
  readonly replayable: boolean;
  /** No more is kept of the body: the request will not be carried once more. */
  forget(): void;
  /** Lets go of the exchange, which stops reading; it waits for `fail`, or to be carried once more. */
  release(): void;
}
