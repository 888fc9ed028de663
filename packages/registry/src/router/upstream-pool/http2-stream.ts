import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { followEnd } from "../exchange/end-of-stream.ts";
import { headerObject } from "../headers/header-object.ts";
import type { Http2Connection } from "./http2-connection.ts";
import type { UpstreamEvents, UpstreamLoss, UpstreamRequest, UpstreamStream } from "./upstream-stream.ts";

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const noTrailers: readonly string[] = [];
const bodyless = { endStream: true };
const plain = { endStream: false };
const trailed = { endStream: false, waitForTrailers: true };

/**
 * Sends a request on an HTTP/2 connection. `onGone` is called once, when the stream has ended.
 * @throws {Error} of Node when the head cannot be written; then nothing was sent.
 */
export function openHttp2Stream(
  connection: Http2Connection,
  request: UpstreamRequest,
  { scheme, authority }: { readonly scheme: string; readonly authority: string },
  callbacks: { readonly events: UpstreamEvents; onGone(): void },
): UpstreamStream {
  const { body } = request;
  const head = [":method", request.method, ":scheme", scheme, ":authority", authority, ":path", request.path];
  for (const text of request.headers) head.push(text);
  if (request.takesTrailers) head.push("te", "trailers");
  const options = body === "none" ? bodyless : body === "data" ? plain : trailed;
  const stream = connection.session.request(head, options);
  const ending = followEnd(stream, false);

  let events: UpstreamEvents | undefined = callbacks.events;
  let answered = false;
  let answerEnded = false;
  let answerTrailers = noTrailers;
  let requestTrailers = noTrailers;

  stream.on("headers", (headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    connection.signs++;
    events?.onInform(Number(headers[":status"]), raw);
  });
  stream.on("trailers", (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    answerTrailers = raw;
  });
  stream.once("response", (headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
    connection.signs++;
    answered = true;
    if ((flags & NGHTTP2_FLAG_END_STREAM) === 0) {
      ending.whenKnown(() => tellAnswer(headers, raw));
      return;
    }
    answerEnded = true;
    events?.onAnswer(Number(headers[":status"]), raw, "none");
    stream.resume(); // to its end, without which there is no "close"
  });
  const tellAnswer = (headers: IncomingHttpHeaders, raw: string[]): void => {
    const known = ending.arrived && answerTrailers === noTrailers;
    events?.onAnswer(Number(headers[":status"]), raw, known ? "data" : "trailed");
  };
  stream.once("end", () => {
    if (!ending.arrived || answerEnded) return; // cut: "close" tells
    answerEnded = true;
    events?.onEnd(answerTrailers);
  });
  if (body === "trailed") {
    stream.once("wantTrailers", () => {
      try {
        stream.sendTrailers(headerObject(requestTrailers));
      } catch {
        stream.close(NGHTTP2_CANCEL); // what came cannot be written
      }
    });
  }
  let failure: Error | undefined;
  stream.on("error", (reason) => {
    failure = reason;
  });
  stream.once("close", () => {
    callbacks.onGone();
    const listener = events;
    events = undefined;
    listener?.onClosed(answerEnded ? undefined : lossOf(connection, stream, answered, failure));
  });

  let reading = false;
  return {
    get arrived() {
      return ending.arrived;
    },
    resume() {
      if (!reading) {
        reading = true;
        stream.on("data", (chunk: Buffer) => {
          connection.signs++;
          events?.onData(chunk);
        });
      }
      stream.resume();
    },
    pause: () => void stream.pause(),
    write(chunk) {
      if (stream.write(chunk)) return true;
      stream.once("drain", () => events?.onDrain());
      return false;
    },
    end(last, trailers) {
      requestTrailers = trailers;
      if (last === undefined) stream.end();
      else stream.end(last);
    },
    cancel() {
      events = undefined;
      stream.close(answerEnded ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
      stream.resume(); // unread, it would not close
    },
  };
}

function lossOf(
  connection: Http2Connection,
  stream: ClientHttp2Stream,
  answered: boolean,
  failure: Error | undefined,
): UpstreamLoss {
  const { lastSeenStream, session, lost } = connection;
  const code = stream.rstCode;
  const left = lastSeenStream !== undefined;
  const unseen = left && stream.id !== undefined && stream.id > lastSeenStream;
  const error = failure ?? lost ?? new Error(`the provider reset the call with code ${code}`);
  if (!answered && (unseen || code === NGHTTP2_REFUSED_STREAM || stream.id === undefined)) {
    return { cause: "unprocessed", error };
  }
  // A peer that says good-bye lives.
  return { cause: !left && (lost !== undefined || session.destroyed) ? "connection" : "stream", error };
}
