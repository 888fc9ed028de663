import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { EndOfStream } from "../exchange/end-of-stream.ts";
import { resetStream } from "../exchange/reset-stream.ts";
import { headerObject } from "../headers/header-object.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { connectionLoss, UnsentError } from "./unsent-error.ts";
import type { UpstreamEvents, UpstreamLoss, UpstreamRequest, UpstreamStream } from "./upstream-stream.ts";

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const noTrailers: readonly string[] = [];
const bodyless = { endStream: true };
const plain = { endStream: false };
const trailed = { endStream: false, waitForTrailers: true };

/** Where requests of a connection go. */
export interface Http2Target {
  readonly scheme: "http" | "https";
  readonly authority: string;
  /** A stream has ended. */
  onGone(connection: Http2Connection): void;
}

/**
 * Sends a request on an HTTP/2 connection.
 * @throws {UnsentError} when the connection is closing. {Error} of Node when the head cannot be written. Nothing was sent then.
 */
export function openHttp2Stream(
  connection: Http2Connection,
  target: Http2Target,
  request: UpstreamRequest,
  events: UpstreamEvents,
): UpstreamStream {
  const { body } = request;
  const { session } = connection;
  // Since its room was given out.
  if (session.closed || session.destroyed) throw new UnsentError("unprocessed", "the connection has just been closed");
  const head = [":method", request.method, ":scheme", target.scheme, ":authority", target.authority];
  head.push(":path", request.path, ...request.headers);
  if (request.takesTrailers) head.push("te", "trailers");
  const stream = session.request(head, body === "none" ? bodyless : body === "data" ? plain : trailed);
  return new Http2UpstreamStream({ stream, connection, target, events, trailed: body === "trailed" });
}

interface Parts {
  readonly stream: ClientHttp2Stream;
  readonly connection: Http2Connection;
  readonly target: Http2Target;
  readonly events: UpstreamEvents;
  readonly trailed: boolean;
}

/** A class with listeners that all streams share, as on the caller's side. */
class Http2UpstreamStream implements UpstreamStream {
  readonly #stream: ClientHttp2Stream;
  readonly #connection: Http2Connection;
  readonly #target: Http2Target;
  readonly #end: EndOfStream;
  #events: UpstreamEvents | undefined;
  #status = 0;
  #headers: readonly string[] = noTrailers;
  #answered = false;
  #told = false;
  #answerEnded = false;
  #answerTrailers = noTrailers;
  #requestTrailers = noTrailers;
  #failure: Error | undefined;
  #reading = false;

  constructor({ stream, connection, target, events, trailed }: Parts) {
    this.#stream = stream;
    this.#connection = connection;
    this.#target = target;
    this.#events = events;
    this.#end = new EndOfStream(stream, false);
    const carried: CarriedStream = stream;
    carried[owner] = this;
    stream.on("headers", onHeaders);
    stream.on("response", onResponse);
    stream.on("trailers", onTrailers);
    stream.on("end", onEnd);
    stream.on("error", onError);
    stream.on("close", onClose);
    if (trailed) stream.on("wantTrailers", onWantTrailers);
  }

  get arrived(): boolean {
    return this.#end.arrived;
  }

  resume(): void {
    if (!this.#reading) {
      this.#reading = true;
      this.#stream.on("data", onData);
    }
    this.#stream.resume();
  }

  pause(): void {
    this.#stream.pause();
  }

  write(chunk: Buffer): boolean {
    if (this.#stream.write(chunk)) return true;
    this.#stream.once("drain", onDrain);
    return false;
  }

  end(last: Buffer | undefined, trailers: readonly string[]): void {
    this.#requestTrailers = trailers;
    if (last === undefined) this.#stream.end();
    else this.#stream.end(last);
  }

  cancel(): void {
    this.#events = undefined;
    if (this.#stream.closed) return;
    resetStream(this.#stream, this.#answerEnded ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    this.#stream.resume(); // unread, it would not close
  }

  // For the listeners.

  inform(status: number, headers: readonly string[]): void {
    this.#connection.signs++;
    this.#events?.onInform(status, headers);
  }

  answer(status: number, headers: readonly string[], last: boolean): void {
    this.#connection.signs++;
    this.#answered = true;
    this.#status = status;
    this.#headers = headers;
    if (!last) {
      this.#end.whenKnown(() => this.#tellAnswer());
      return;
    }
    this.#answerEnded = true;
    this.#events?.onAnswer(status, headers, "none");
    this.#stream.resume(); // to its end, without which there is no "close"
  }

  #tellAnswer(): void {
    const known = this.#end.arrived && this.#answerTrailers === noTrailers;
    this.#told = true;
    this.#events?.onAnswer(this.#status, this.#headers, known ? "data" : "trailed");
    // The end of a body without a byte is told unasked, perhaps before.
    if (this.#stream.readableEnded) this.receiveEnd();
  }

  receive(chunk: Buffer): void {
    this.#connection.signs++;
    this.#events?.onData(chunk);
  }

  receiveTrailers(trailers: readonly string[]): void {
    this.#answerTrailers = trailers;
  }

  receiveEnd(): void {
    // Cut off: "close" tells.
    if (!this.#end.arrived || !this.#told || this.#answerEnded) return;
    this.#answerEnded = true;
    this.#events?.onEnd(this.#answerTrailers);
  }

  drained(): void {
    this.#events?.onDrain();
  }

  sendTrailers(): void {
    try {
      this.#stream.sendTrailers(headerObject(this.#requestTrailers));
    } catch {
      resetStream(this.#stream, NGHTTP2_CANCEL); // what came cannot be written
    }
  }

  fail(error: Error): void {
    this.#failure = error;
  }

  close(): void {
    const events = this.#events;
    this.#events = undefined;
    this.#target.onGone(this.#connection);
    events?.onClosed(this.#answerEnded ? undefined : this.#loss());
  }

  #loss(): UpstreamLoss {
    const { lastSeenStream, session, lost } = this.#connection;
    const { id, rstCode: code } = this.#stream;
    const left = lastSeenStream !== undefined;
    const unseen = id === undefined || (left && id > lastSeenStream) || code === NGHTTP2_REFUSED_STREAM;
    const error = this.#failure ?? lost ?? new Error(`the provider reset the call with code ${code}`);
    if (!this.#answered && unseen) return { cause: "unprocessed", error };
    // A peer that says good-bye lives.
    return { cause: !left && (lost !== undefined || session.destroyed) ? connectionLoss(lost) : "stream", error };
  }
}

const owner: unique symbol = Symbol("upstream stream");

interface CarriedStream extends ClientHttp2Stream {
  [owner]?: Http2UpstreamStream;
}

function onHeaders(this: CarriedStream, headers: IncomingHttpHeaders, _flags: number, raw: string[]): void {
  this[owner]?.inform(Number(headers[":status"]), raw);
}

function onResponse(this: CarriedStream, headers: IncomingHttpHeaders, flags: number, raw: string[]): void {
  this[owner]?.answer(Number(headers[":status"]), raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onTrailers(this: CarriedStream, _headers: IncomingHttpHeaders, _flags: number, raw: string[]): void {
  this[owner]?.receiveTrailers(raw);
}

function onData(this: CarriedStream, chunk: Buffer): void {
  this[owner]?.receive(chunk);
}

function onEnd(this: CarriedStream): void {
  this[owner]?.receiveEnd();
}

function onDrain(this: CarriedStream): void {
  this[owner]?.drained();
}

function onWantTrailers(this: CarriedStream): void {
  this[owner]?.sendTrailers();
}

function onError(this: CarriedStream, error: Error): void {
  this[owner]?.fail(error);
}

function onClose(this: CarriedStream): void {
  this[owner]?.close();
}
