import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { encodeError, peerOf } from "@cpg/core/extension";
import { headerObject } from "../headers/header-object.ts";
import type { CallerEvents, CallerStream } from "./caller-stream.ts";
import { createClosing } from "./closing.ts";
import { followEnd } from "./end-of-stream.ts";
import type { Exchange } from "./exchange.ts";
import { createKeptBody } from "./kept-body.ts";

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

const lastOfAnswer = { endStream: true };
const trailedAnswer = { waitForTrailers: true };
const noTrailers: readonly string[] = [];
/** More than a caller can have sent before it saw the end of its answer. */
const maxDiscardedBytes = 1024 * 1024;

/** An exchange on the bare stream of an HTTP/2 server. To be called as soon as the stream is there. */
export function createHttp2Exchange(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): Exchange {
  const kept = createKeptBody();
  const closing = createClosing();
  const ending = followEnd(stream, stream.endAfterHeaders || stream.state.remoteClose === 1);
  let events: CallerEvents | undefined;
  let requestBytes = 0;
  let responseBytes = 0;
  let requestTrailers = noTrailers;
  let answerTrailers = noTrailers;
  let reading = false;
  let replaying = false;
  let trailed = false;
  let answerEnded = false;
  let trailersSent = false;
  let stopped = false;

  const settle = (): void => {
    const carrying = events;
    events = undefined;
    closing.settle(answerEnded && stream.rstCode === NGHTTP2_NO_ERROR ? "finished" : "aborted", carrying);
  };
  const onTrailers = (_headers: unknown, _flags: number, raw: string[]): void => {
    requestTrailers = raw;
  };
  stream.on("trailers", onTrailers);
  stream.once("close", settle);
  // Of a caller that gives up with NO_ERROR while nobody reads, there is no "close" as yet.
  stream.once("aborted", settle);
  stream.on("error", () => {}); // "close" follows

  const onData = (chunk: Buffer): void => {
    requestBytes += chunk.length;
    if (stopped) {
      if (requestBytes > maxDiscardedBytes) stream.pause();
      return;
    }
    kept.add(chunk);
    events?.onData(chunk);
  };
  const replay = (listener: CallerEvents): void => {
    for (const chunk of kept.chunks) if (events === listener) listener.onData(chunk);
    if (events === listener && stream.readableEnded) listener.onEnd(requestTrailers);
  };

  const cut = (code: number): void => {
    stream.close(code);
    settle();
  };
  /** The answer has been handed over to its end: a reset cannot overtake it. */
  const closeUnread = (): void => void setImmediate(closeRequest, stream);
  const sendTrailers = (): void => {
    try {
      stream.sendTrailers(headerObject(answerTrailers));
    } catch {
      cut(NGHTTP2_INTERNAL_ERROR); // what came cannot be written
    }
    trailersSent = true;
    if (stopped) closeUnread();
  };
  const stop = (): void => {
    if (stopped || stream.readableEnded || stream.endAfterHeaders) return;
    stopped = true;
    requestBytes = Math.min(requestBytes, maxDiscardedBytes);
    if (!reading) stream.on("data", onData);
    reading = true;
    stream.resume();
    if (trailed ? trailersSent : stream.writableFinished) closeUnread();
    else if (!trailed) stream.once("finish", closeUnread);
  };

  const carried: CallerStream = {
    get body() {
      if (stream.endAfterHeaders) return "none";
      return ending.arrived && requestTrailers === noTrailers ? "data" : "trailed";
    },
    get arrived() {
      return ending.arrived;
    },
    whenKnown: ending.whenKnown,
    resume() {
      if (!reading) {
        reading = true;
        stream.on("data", onData);
        stream.once("end", () => events?.onEnd(requestTrailers));
      } else if (replaying && events !== undefined) {
        process.nextTick(replay, events);
      }
      replaying = false;
      stream.resume();
    },
    pause: () => void stream.pause(),
    inform(status, informed) {
      if (stream.headersSent || stream.closed) return;
      stream.additionalHeaders({ ...headerObject(informed), ":status": status });
    },
    respond(status, answered, body) {
      const answer = headerObject(answered);
      answer[":status"] = String(status);
      trailed = body === "trailed";
      answerEnded = body === "none";
      if (trailed) stream.once("wantTrailers", sendTrailers);
      stream.respond(answer, trailed ? trailedAnswer : body === "none" ? lastOfAnswer : undefined);
    },
    write(chunk) {
      responseBytes += chunk.length;
      if (stream.write(chunk)) return true;
      stream.once("drain", () => events?.onDrain());
      return false;
    },
    end(last, trailers) {
      answerTrailers = trailers;
      answerEnded = true;
      if (last === undefined) {
        stream.end();
      } else {
        responseBytes += last.length;
        stream.end(last);
      }
    },
    stop,
    reset: cut,
    get replayable() {
      return kept.whole && closing.end === undefined;
    },
    forget: () => kept.forget(),
    release() {
      events = undefined;
      stream.pause();
    },
  };

  return {
    httpVersion: "2.0",
    method: headers[":method"] ?? "",
    target: headers[":path"] ?? "",
    headers: withoutPseudoHeaders(rawHeaders),
    contentType: headers["content-type"] ?? "",
    get peer() {
      return peerOf({ stream });
    },
    get requestBytes() {
      return requestBytes;
    },
    get responseBytes() {
      return responseBytes;
    },
    onClosed: closing.listen,
    fail(error, httpStatus) {
      if (closing.end !== undefined) return;
      if (stream.headersSent || stream.closed) {
        cut(NGHTTP2_CANCEL);
        return;
      }
      const carrying = events;
      events = undefined;
      const { status, header, body } = encodeError(headers["content-type"] ?? "", error);
      // Errors inside of an answer that is a success for HTTP stay there.
      const shown = status === 200 ? status : (httpStatus ?? status);
      trailed = false;
      answerEnded = true;
      const ends = body === undefined || headers[":method"] === "HEAD";
      stream.respond({ ...Object.fromEntries(header), ":status": shown }, ends ? lastOfAnswer : undefined);
      if (!ends) stream.end(body);
      stop();
      carrying?.onClosed("aborted");
    },
    destroy() {
      if (closing.end === undefined) cut(NGHTTP2_CANCEL);
    },
    carry(listener) {
      events = listener;
      replaying = reading;
      if (closing.end !== undefined) process.nextTick(settle);
      return carried;
    },
  };
}

function closeRequest(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded) stream.close(NGHTTP2_NO_ERROR);
}

function withoutPseudoHeaders(rawHeaders: readonly string[]): string[] {
  let first = 0;
  while (rawHeaders[first]?.startsWith(":")) first += 2;
  return rawHeaders.slice(first);
}
