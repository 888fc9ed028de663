/** What an exchange tells who carries its bytes. Nothing after `onClosed`, nor after `CallerStream.release`. */
export interface CallerEvents {
  /** A part of the request's body. */
  onData(chunk: Buffer): void;
  /** The request's body has ended. `trailers`: names and values in turn. */
  onEnd(trailers: readonly string[]): void;
  /** There is room for more of the answer, after a `write` that returned false. */
  onDrain(): void;
  /** The exchange has ended. `code`: that of HTTP/2 with which the caller reset it, undefined if it did not. */
  onClosed(code: number | undefined): void;
}

/** The bytes of one exchange, in both directions. */
export interface CallerStream {
  /** The request has no body: neither data nor trailers will come. `onEnd` is not called. */
  readonly bodyless: boolean;
  /** Begins to read the request's body. */
  start(): void;
  /** Stops and resumes reading it. */
  pause(): void;
  resume(): void;
  /** An interim answer, 1xx. */
  inform(status: number, headers: readonly string[]): void;
  /** The answer begins; with `last` it also ends. `headers`: names, in lower case, and values in turn, end-to-end ones only. */
  respond(status: number, headers: string[], last: boolean): void;
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean;
  /** `trailers`: names and values in turn. */
  end(trailers: string[]): void;
  /** Gives the answer up: HTTP/2 resets it with the code, HTTP/1.1 cuts the connection. */
  reset(code: number): void;
  /** Whether the request can be carried once more: all that was read of its body is kept. */
  readonly replayable: boolean;
  /** No more is kept of the body: the request will not be carried once more. */
  forget(): void;
  /** Lets go of the exchange, which stops and can be carried once more. */
  release(): void;
}
