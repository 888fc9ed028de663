import type { IncomingMessage, ServerResponse } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import { encodeError, endUnreadRequest, peerOf } from "@cpg/core/extension";
import { headerObject } from "../headers/header-object.ts";
import { withLowerNames } from "../headers/header-value.ts";
import { addTrailers, http1Head } from "../headers/http1-headers.ts";
import { EnvelopeFollower, errorEnvelope, isEnveloped } from "./begun-answer.ts";
import type { CallerEvents, CallerStream } from "./caller-stream.ts";
import { createClosing } from "./closing.ts";
import type { Exchange } from "./exchange.ts";
import { KeptBody } from "./kept-body.ts";

/** An exchange of HTTP/1.1, or 1.0. To be called before the request is read. */
export function createHttp1Exchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const { socket } = request;
  const headers = withLowerNames(request.rawHeaders);
  const contentType = request.headers["content-type"] ?? "";
  const bodyless = !hasBody(request);
  const kept = new KeptBody();
  const closing = createClosing();
  let events: CallerEvents | undefined;
  let requestBytes = 0;
  let responseBytes = 0;
  let reading = false;
  let replaying = false;
  let flushing = false;
  /** Of an answer that consists of envelopes. */
  let envelopes: EnvelopeFollower | undefined;

  const settle = (): void => {
    const carrying = events;
    events = undefined;
    socket.off("close", settle);
    closing.settle(response.writableFinished ? "finished" : "aborted", carrying);
  };
  // A response that waits behind another one does not hear of its connection's end.
  if (socket.destroyed) {
    process.nextTick(settle);
  } else {
    socket.setMaxListeners(0); // one for each request in line
    socket.once("close", settle);
  }
  response.once("close", settle);
  response.on("error", () => {}); // "close" follows
  request.on("error", () => {});

  const onData = (chunk: Buffer): void => {
    requestBytes += chunk.length;
    kept.add(chunk);
    events?.onData(chunk);
  };
  const onEnd = (): void => {
    if (request.complete) events?.onEnd(withLowerNames(request.rawTrailers));
  };
  const replay = (listener: CallerEvents): void => {
    for (const chunk of kept.chunks) if (events === listener) listener.onData(chunk);
    if (events === listener && request.readableEnded) onEnd();
  };
  const endUnread = (): void => {
    if (request.complete) return;
    request.off("data", onData);
    endUnreadRequest(request, response);
  };
  /** False: the error does not fit behind what was sent. */
  const failBegun = (error: ConnectError): boolean => {
    if (response.writableEnded || envelopes?.isBetween !== true) return false;
    const { body, trailers } = errorEnvelope(contentType, error);
    if (body === undefined || trailers.length > 0) return false;
    const carrying = events;
    events = undefined;
    endUnread();
    response.end(body);
    carrying?.onClosed("aborted");
    return true;
  };
  const cut = (): void => {
    socket.destroy();
    settle();
  };
  /** Once what came together with the head has been written: it travels with it. */
  const flushHead = (): void => {
    if (flushing && closing.end === undefined) response.flushHeaders();
  };

  const carried: CallerStream = {
    get body() {
      if (bodyless) return "none";
      return request.headers["transfer-encoding"] === undefined ? "data" : "trailed";
    },
    get arrived() {
      return request.complete;
    },
    // Node parses what came together before the tick is over.
    whenKnown: process.nextTick,
    resume() {
      if (!reading) {
        reading = true;
        request.on("data", onData);
        request.once("end", onEnd);
      } else if (replaying && events !== undefined) {
        process.nextTick(replay, events);
      }
      replaying = false;
      request.resume();
    },
    pause: () => void request.pause(),
    inform(status, informed) {
      if (response.headersSent || request.httpVersion === "1.0") return;
      // Node has answered "Expect: 100-continue" itself.
      if (status === 102) response.writeProcessing();
      if (status === 103) response.writeEarlyHints(headerObject(informed));
    },
    respond(status, answered, body) {
      const { headers: fitting } = http1Head(answered, body, request.httpVersion !== "1.0");
      const shown = headerObject(answered);
      // One that told its length can take nothing more.
      const isOpen = shown["content-length"] === undefined && isEnveloped(String(shown["content-type"] ?? ""));
      if (isOpen && isEnveloped(contentType)) envelopes = new EnvelopeFollower();
      response.writeHead(status, fitting);
      if (body === "none") {
        response.end();
      } else {
        flushing = true;
        setImmediate(flushHead);
      }
    },
    write(chunk) {
      flushing = false;
      responseBytes += chunk.length;
      envelopes?.pass(chunk);
      if (response.write(chunk)) return true;
      response.once("drain", () => events?.onDrain());
      return false;
    },
    end(last, trailers) {
      flushing = false;
      addTrailers(response, trailers);
      // Nobody who has his answer waits for the rest of the request to be read.
      endUnread();
      if (last === undefined) {
        response.end();
      } else {
        responseBytes += last.length;
        response.end(last);
      }
    },
    stop: () => {}, // once the answer ends
    reset: cut,
    get replayable() {
      return kept.whole && closing.end === undefined;
    },
    forget: () => kept.forget(),
    release() {
      events = undefined;
      request.pause();
    },
  };

  return {
    httpVersion: request.httpVersion === "1.0" ? "1.0" : "1.1",
    method: request.method ?? "",
    target: request.url ?? "",
    headers,
    contentType,
    get peer() {
      return peerOf(request);
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
      if (response.headersSent) {
        if (!failBegun(error)) cut();
        return;
      }
      const carrying = events;
      events = undefined;
      const { status, header, body } = encodeError(contentType, error);
      // Errors inside of an answer that is a success for HTTP stay there.
      const shown = status === 200 ? status : (httpStatus ?? status);
      endUnread();
      response.writeHead(shown, Object.fromEntries(header));
      if (body === undefined) response.end();
      else response.end(body);
      carrying?.onClosed("aborted");
    },
    destroy() {
      if (closing.end === undefined) cut();
    },
    carry(listener) {
      events = listener;
      replaying = reading;
      if (closing.end !== undefined) process.nextTick(settle);
      return carried;
    },
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  return headers["content-length"] !== undefined && Number(headers["content-length"]) > 0;
}
