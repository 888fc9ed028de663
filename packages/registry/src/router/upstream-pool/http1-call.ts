import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import type { BodyForm } from "../exchange/caller-stream.ts";
import { headerValue, withLowerNames } from "../headers/header-value.ts";
import { addTrailers, http1Head } from "../headers/http1-headers.ts";
import { connectionLoss, UnsentError } from "./unsent-error.ts";
import type { UpstreamEvents, UpstreamLoss, UpstreamRequest, UpstreamStream } from "./upstream-stream.ts";

export interface Http1Target {
  readonly agent: Agent;
  /** For Host. */
  readonly authority: string;
  readonly maxHeaderBytes: number;
}

/** Methods of which a request without a body says nothing about its length. */
const bodylessMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);
const givenUp = new Error("the call was given up");

export interface Http1Callbacks {
  readonly events: UpstreamEvents;
  /** Called once: the connection is free again, or closed. */
  onGone(): void;
  /** The provider did not answer, or not to the end. */
  onUnanswered(): void;
}

/**
 * Sends a request over HTTP/1.1.
 * @throws {Error} of Node when the head cannot be written; then nothing was sent.
 */
export function openHttp1Call(
  { agent, authority, maxHeaderBytes }: Http1Target,
  request: UpstreamRequest,
  callbacks: Http1Callbacks,
): UpstreamStream {
  const { method, path, body } = request;
  const { headers, chunked } = http1Head(request.headers, body);
  const head = ["host", authority, ...headers];
  if (chunked) head.push("transfer-encoding", "chunked");
  if (body === "none" && !bodylessMethods.has(method) && headerValue(headers, "content-length") === undefined) {
    head.push("content-length", "0");
  }
  if (request.takesTrailers) head.push("te", "trailers", "connection", "keep-alive, te");
  const call = requestHttp({ agent, method, path, headers: head, maxHeaderSize: maxHeaderBytes });

  let events: UpstreamEvents | undefined = callbacks.events;
  let answer: IncomingMessage | undefined;
  let answerEnded = false;
  let failure: Error | undefined;
  let written = body === "none";

  const lose = (): void => {
    const listener = events;
    if (listener === undefined) return;
    events = undefined;
    if (!answerEnded) callbacks.onUnanswered();
    // What has its answer is not read further, as far as anybody knows.
    if (!call.writableEnded) call.destroy(givenUp);
    listener.onClosed(answerEnded ? undefined : lossOf(call, answer, failure));
  };
  call.on("error", (reason) => {
    failure ??= reason;
  });
  call.once("close", () => {
    callbacks.onGone();
    if (answer === undefined) lose();
  });
  call.on("information", ({ statusCode, rawHeaders }) => events?.onInform(statusCode, withLowerNames(rawHeaders)));
  call.once("response", (response) => {
    answer = response;
    response.on("error", (reason) => {
      failure ??= reason;
    });
    response.once("close", lose);
    const coding = response.headers["transfer-encoding"];
    if (coding !== undefined && coding.toLowerCase() !== "chunked") {
      failure = new Error("a transfer coding other than chunked is not supported");
      call.destroy(failure);
      return;
    }
    // What came together with the head is known once it has been parsed, the trailers among it.
    process.nextTick(tellAnswer, response);
  });
  const tellAnswer = (response: IncomingMessage): void => {
    const status = response.statusCode ?? 0;
    const form = formOf(method, status, response);
    if (form === "none") {
      answerEnded = true;
      response.resume();
    } else {
      response.once("end", () => {
        if (!response.complete) return; // cut: "close" tells
        answerEnded = true;
        events?.onEnd(withLowerNames(response.rawTrailers));
      });
    }
    events?.onAnswer(status, withLowerNames(response.rawHeaders), form);
  };

  /** Once what came together with the head has been written: it travels with it. */
  const flushHead = (): void => {
    if (!written && !call.destroyed) call.flushHeaders();
  };
  if (body === "none") call.end();
  else setImmediate(flushHead);

  let reading = false;
  return {
    get arrived() {
      return answer?.complete ?? false;
    },
    resume() {
      if (!reading) {
        reading = true;
        answer?.on("data", (chunk: Buffer) => events?.onData(chunk));
      }
      answer?.resume();
    },
    pause: () => void answer?.pause(),
    write(chunk) {
      written = true;
      if (call.write(chunk)) return true;
      call.once("drain", () => events?.onDrain());
      return false;
    },
    end(last, trailers) {
      written = true;
      if (chunked) addTrailers(call, trailers);
      if (last === undefined) call.end();
      else call.end(last);
    },
    cancel() {
      events = undefined;
      call.destroy(givenUp);
    },
  };
}

function formOf(method: string, status: number, response: IncomingMessage): BodyForm {
  if (method === "HEAD" || status === 204 || status === 304) return "none";
  if (response.headers["transfer-encoding"] === undefined) return "data";
  return response.complete && response.rawTrailers.length === 0 ? "data" : "trailed";
}

function lossOf(call: ClientRequest, answer: IncomingMessage | undefined, failure: Error | undefined): UpstreamLoss {
  const error = failure ?? new Error("the provider closed the connection");
  if (error instanceof UnsentError) return { cause: "unprocessed", error };
  // A connection that was unused for a while may have been closed meanwhile, by a provider that lives. So does one that
  // answers, if only nonsense.
  const lives = answer !== undefined || call.reusedSocket || isParseError(error);
  return { cause: lives ? "stream" : connectionLoss(error), error };
}

function isParseError(error: Error): boolean {
  return "code" in error && typeof error.code === "string" && error.code.startsWith("HPE_");
}
