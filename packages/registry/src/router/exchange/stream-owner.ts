import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

/** What hears of the events of a caller's stream. */
export interface StreamOwner {
  receive(chunk: Buffer): void;
  receiveTrailers(trailers: readonly string[]): void;
  receiveEnd(): void;
  drained(): void;
  /** All of the answer's body is written. */
  sendTrailers(): void;
  /** The answer has been handed over to its end. */
  closeRequest(): void;
  /** The stream has closed, or will. */
  settle(): void;
}

const owner: unique symbol = Symbol("owner");

interface OwnedStream extends ServerHttp2Stream {
  [owner]?: StreamOwner;
}

/** From now on the listeners of this file tell `streamOwner` of the stream to which they are added. */
export function ownStream(stream: ServerHttp2Stream, streamOwner: StreamOwner): void {
  const owned: OwnedStream = stream;
  owned[owner] = streamOwner;
}

export function onTrailers(this: OwnedStream, _headers: IncomingHttpHeaders, _flags: number, raw: string[]): void {
  this[owner]?.receiveTrailers(raw);
}

export function onClose(this: OwnedStream): void {
  this[owner]?.settle();
}

export function onData(this: OwnedStream, chunk: Buffer): void {
  this[owner]?.receive(chunk);
}

export function onEnd(this: OwnedStream): void {
  this[owner]?.receiveEnd();
}

export function onDrain(this: OwnedStream): void {
  this[owner]?.drained();
}

export function onWantTrailers(this: OwnedStream): void {
  this[owner]?.sendTrailers();
}

export function onFinish(this: OwnedStream): void {
  setImmediate(closeRequest, this[owner]);
}

export function closeRequest(streamOwner: StreamOwner | undefined): void {
  streamOwner?.closeRequest();
}
