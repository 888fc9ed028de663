import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { encodeError, peerOf } from "@cpg/core/extension";
import type { Peer } from "@cpg/resilience";
import { headerObject } from "../headers/header-object.ts";
import { EnvelopeFollower, errorEnvelope, isEnveloped } from "./begun-answer.ts";
import type { BodyForm, CallerEvents, CallerStream } from "./caller-stream.ts";
import { EndOfStream } from "./end-of-stream.ts";
import type { Exchange, ExchangeEnd } from "./exchange.ts";
import { KeptBody } from "./kept-body.ts";
import { resetStream } from "./reset-stream.ts";
import {
  closeRequest,
  onClose,
  onData,
  onDrain,
  onEnd,
  onFinish,
  onTrailers,
  onWantTrailers,
  ownStream,
  type StreamOwner,
} from "./stream-owner.ts";

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

const lastOfAnswer = { endStream: true };
const trailedAnswer = { waitForTrailers: true };
const noTrailers: readonly string[] = [];
const noListeners: readonly never[] = [];
/** More than a caller can have sent before it saw the end of its answer. */
const maxDiscardedBytes = 1024 * 1024;

/** An exchange on the bare stream of an HTTP/2 server. To be called as soon as the stream is there. */
export function createHttp2Exchange(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): Exchange {
  return new Http2Exchange(stream, headers, rawHeaders);
}

/** A class with listeners that all streams share: closures for each call were half of the router's own cost. */
class Http2Exchange implements Exchange, CallerStream, StreamOwner {
  readonly httpVersion = "2.0";
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly contentType: string;
  requestBytes = 0;
  responseBytes = 0;

  readonly #stream: ServerHttp2Stream;
  readonly #end: EndOfStream;
  readonly #kept = new KeptBody();
  #events: CallerEvents | undefined;
  #closed: ExchangeEnd | undefined;
  #listeners: ((end: ExchangeEnd) => void)[] | undefined;
  #requestTrailers = noTrailers;
  #answerTrailers = noTrailers;
  /** Of an answer that consists of envelopes. */
  #envelopes: EnvelopeFollower | undefined;
  #reading = false;
  #replaying = false;
  #trailed = false;
  #answerEnded = false;
  #trailersSent = false;
  #stopped = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
    this.method = headers[":method"] ?? "";
    this.target = headers[":path"] ?? "";
    this.headers = withoutPseudoHeaders(rawHeaders);
    this.contentType = headers["content-type"] ?? "";
    this.#stream = stream;
    this.#end = new EndOfStream(stream, stream.endAfterHeaders);
    ownStream(stream, this);
    stream.on("trailers", onTrailers);
    stream.on("close", onClose);
    // Of a caller that gives up with NO_ERROR while nobody reads, there is no "close" as yet.
    stream.on("aborted", onClose);
    stream.on("error", ignore); // "close" follows
  }

  get peer(): Peer {
    return peerOf({ stream: this.#stream });
  }

  onClosed(listener: (end: ExchangeEnd) => void): void {
    if (this.#closed !== undefined) listener(this.#closed);
    else if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  fail(error: ConnectError, httpStatus?: number): void {
    if (this.#closed !== undefined) return;
    const stream = this.#stream;
    if (stream.headersSent || stream.closed) {
      if (!this.#failBegun(error)) this.reset(NGHTTP2_CANCEL);
      return;
    }
    const carrying = this.#events;
    this.#events = undefined;
    const { status, header, body } = encodeError(this.contentType, error);
    // Errors inside of an answer that is a success for HTTP stay there.
    const shown = status === 200 ? status : (httpStatus ?? status);
    const ends = body === undefined || this.method === "HEAD";
    this.#trailed = false;
    this.#answerEnded = true;
    stream.respond({ ...Object.fromEntries(header), ":status": shown }, ends ? lastOfAnswer : undefined);
    if (!ends) stream.end(body);
    this.stop();
    carrying?.onClosed("aborted");
  }

  /** False: the error does not fit behind what was sent. */
  #failBegun(error: ConnectError): boolean {
    const stream = this.#stream;
    if (stream.closed || this.#answerEnded || this.#envelopes?.isBetween !== true) return false;
    const { body, trailers } = errorEnvelope(this.contentType, error);
    if (trailers.length > 0 && !this.#trailed) return false;
    const carrying = this.#events;
    this.#events = undefined;
    this.#answerTrailers = trailers;
    this.#answerEnded = true;
    if (body === undefined) stream.end();
    else stream.end(body);
    this.stop();
    carrying?.onClosed("aborted");
    return true;
  }

  destroy(): void {
    if (this.#closed === undefined) this.reset(NGHTTP2_CANCEL);
  }

  carry(events: CallerEvents): CallerStream {
    this.#events = events;
    this.#replaying = this.#reading;
    if (this.#closed !== undefined) process.nextTick(() => this.settle());
    return this;
  }

  get body(): BodyForm {
    if (this.#stream.endAfterHeaders) return "none";
    return this.#end.arrived && this.#requestTrailers === noTrailers ? "data" : "trailed";
  }

  get arrived(): boolean {
    return this.#end.arrived;
  }

  whenKnown(callback: () => void): void {
    this.#end.whenKnown(callback);
  }

  resume(): void {
    // The end of a body without a byte is told unasked, perhaps before.
    const behind = this.#replaying || (!this.#reading && this.#stream.readableEnded);
    if (!this.#reading) this.#read();
    if (behind && this.#events !== undefined) {
      process.nextTick((events: CallerEvents) => this.#replay(events), this.#events);
    }
    this.#replaying = false;
    this.#stream.resume();
  }

  pause(): void {
    this.#stream.pause();
  }

  inform(status: number, headers: readonly string[]): void {
    const stream = this.#stream;
    if (stream.headersSent || stream.closed) return;
    stream.additionalHeaders({ ...headerObject(headers), ":status": status });
  }

  respond(status: number, headers: readonly string[], body: BodyForm): void {
    const stream = this.#stream;
    const answer = headerObject(headers);
    answer[":status"] = String(status);
    if (isEnveloped(this.contentType) && isEnveloped(String(answer["content-type"] ?? ""))) {
      this.#envelopes = new EnvelopeFollower();
    }
    if (body === "trailed") {
      this.#trailed = true;
      stream.on("wantTrailers", onWantTrailers);
      stream.respond(answer, trailedAnswer);
    } else {
      this.#answerEnded = body === "none";
      stream.respond(answer, body === "none" ? lastOfAnswer : undefined);
    }
  }

  write(chunk: Buffer): boolean {
    this.responseBytes += chunk.length;
    this.#envelopes?.pass(chunk);
    if (this.#stream.write(chunk)) return true;
    this.#stream.once("drain", onDrain);
    return false;
  }

  end(last: Buffer | undefined, trailers: readonly string[]): void {
    this.#answerTrailers = trailers;
    this.#answerEnded = true;
    if (last === undefined) {
      this.#stream.end();
    } else {
      this.responseBytes += last.length;
      this.#stream.end(last);
    }
  }

  stop(): void {
    const stream = this.#stream;
    if (this.#stopped || this.#end.arrived) return;
    this.#stopped = true;
    this.requestBytes = Math.min(this.requestBytes, maxDiscardedBytes);
    if (!this.#reading) this.#read();
    stream.resume();
    if (this.#trailed ? this.#trailersSent : stream.writableFinished) setImmediate(closeRequest, this);
    else if (!this.#trailed) stream.once("finish", onFinish);
  }

  reset(code: number): void {
    resetStream(this.#stream, code);
    this.settle();
  }

  get replayable(): boolean {
    return this.#kept.whole && this.#closed === undefined;
  }

  forget(): void {
    this.#kept.forget();
  }

  release(): void {
    this.#events = undefined;
    this.#stream.pause();
  }

  #read(): void {
    this.#reading = true;
    this.#stream.on("data", onData);
    this.#stream.on("end", onEnd);
  }

  #replay(events: CallerEvents): void {
    for (const chunk of this.#kept.chunks) if (this.#events === events) events.onData(chunk);
    if (this.#events === events && this.#stream.readableEnded) this.receiveEnd();
  }

  // For the listeners.

  settle(): void {
    // Node destroys a stream that is done both ways before it says that its writing is finished.
    this.#closed ??= this.#answerEnded && this.#stream.rstCode === NGHTTP2_NO_ERROR ? "finished" : "aborted";
    const carrying = this.#events;
    const listeners = this.#listeners;
    this.#events = undefined;
    this.#listeners = undefined;
    carrying?.onClosed(this.#closed);
    for (const tell of listeners ?? noListeners) tell(this.#closed);
  }

  receive(chunk: Buffer): void {
    this.requestBytes += chunk.length;
    if (this.#stopped) {
      if (this.requestBytes > maxDiscardedBytes) this.#stream.pause();
      return;
    }
    this.#kept.add(chunk);
    this.#events?.onData(chunk);
  }

  receiveTrailers(trailers: readonly string[]): void {
    this.#requestTrailers = trailers;
  }

  receiveEnd(): void {
    if (this.#stopped) return;
    if (!this.#end.arrived) {
      if (this.#stream.closed) return; // cut off: "close" tells
      this.#end.end(); // it came before this exchange was made
    }
    this.#events?.onEnd(this.#requestTrailers);
  }

  drained(): void {
    this.#events?.onDrain();
  }

  sendTrailers(): void {
    try {
      this.#stream.sendTrailers(headerObject(this.#answerTrailers));
    } catch {
      this.reset(NGHTTP2_INTERNAL_ERROR); // what came cannot be written
    }
    this.#trailersSent = true;
    if (this.#stopped) setImmediate(closeRequest, this);
  }

  /** The answer has been handed over to its end: a reset cannot overtake it. */
  closeRequest(): void {
    if (!this.#stream.readableEnded) this.#stream.close(NGHTTP2_NO_ERROR);
  }
}

function ignore(): void {}

function withoutPseudoHeaders(rawHeaders: readonly string[]): string[] {
  let first = 0;
  while (rawHeaders[first]?.startsWith(":")) first += 2;
  return rawHeaders.slice(first);
}
