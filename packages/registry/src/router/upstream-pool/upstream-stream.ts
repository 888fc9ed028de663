import type { BodyForm } from "../exchange/caller-stream.ts";
import type { LostCause } from "../forward/forwarder.ts";

/** The head of a request, as it goes to a provider. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  /** Names, in lower case, and values in turn: end-to-end ones only, without host. */
  readonly headers: readonly string[];
  readonly body: BodyForm;
  /** The caller takes trailers. */
  readonly takesTrailers: boolean;
}

/** What a provider's side of a call tells. Nothing after `onClosed`, nor after `UpstreamStream.cancel`. */
export interface UpstreamEvents {
  onInform(status: number, headers: readonly string[]): void;
  /** The answer begins; with "none" it has ended, too. */
  onAnswer(status: number, headers: readonly string[], body: BodyForm): void;
  onData(chunk: Buffer): void;
  /** The answer has come to its end, and the request's body may go on. `trailers`: names, in lower case, and values in turn. */
  onEnd(trailers: readonly string[]): void;
  /** There is room for more of the request, after a `write` that returned false. */
  onDrain(): void;
  /** It is over. Undefined: the answer had come to its end. */
  onClosed(loss: UpstreamLoss | undefined): void;
}

/** What a call was lost by. "unprocessed": the provider has not looked at it. */
export interface UpstreamLoss {
  readonly cause: LostCause | "unprocessed";
  readonly error: Error;
}

/** The provider's side of one call. */
export interface UpstreamStream {
  /** The last byte of the answer has arrived: its end comes without more from the network. */
  readonly arrived: boolean;
  /** Begins to read the answer's body; and after `pause`, goes on. */
  resume(): void;
  pause(): void;
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean;
  /** The request ends. `trailers`: names, in lower case, and values in turn. */
  end(last: Buffer | undefined, trailers: readonly string[]): void;
  /** Gives the call up: the provider sees a reset. */
  cancel(): void;
}

/** Room for one call on the connections to a provider. To be used, or given back, once. */
export interface UpstreamSlot {
  /** @throws {Error} of Node when the head cannot be written in the provider's version of HTTP; then nothing was sent. */
  open(request: UpstreamRequest, events: UpstreamEvents): UpstreamStream;
  giveBack(): void;
}

/** Connections of one version of HTTP to one provider. */
export interface UpstreamConnections {
  /** Room for a call: at once if there is any. Rejects with an UnsentError, in bounded time. */
  acquire(): UpstreamSlot | Promise<UpstreamSlot>;
  /** Slots that are given out or waited for. */
  readonly inUse: number;
  /** Closes connections once their calls have ended. */
  retire(): void;
  /** Gives no more slots. The connections themselves are the dialer's to cut. */
  close(error: Error): void;
}
