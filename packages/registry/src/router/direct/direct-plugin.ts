import { constants } from "node:http2";
import { Code, ConnectError, type ContextKey, createContextKey } from "@connectrpc/connect";
import { answerError } from "@cpg/core";
import { createRpcHandler, type NodeServerRequest, type NodeServerResponse } from "@cpg/core/extension";
import type { DirectUpstream } from "../upstream.ts";
import { type ByteCount, countBytes } from "./count-bytes.ts";
import { forwardCalls } from "./forward-calls.ts";

export interface DirectPluginOptions {
  readonly upstream: DirectUpstream;
  /** Bytes of one message, in and out. */
  readonly maxMessageBytes: number;
  /** Hears of errors that no caller gets to see. */
  onError(error: unknown): void;
}

/** Node's objects for one request, of HTTP/1.1 or HTTP/2. */
export interface NodeExchange {
  readonly request: NodeServerRequest;
  readonly response: NodeServerResponse;
}

/** A request, as its plugin is to see it. */
export interface DirectRequest extends NodeExchange {
  /** With its query. */
  readonly path: string;
  /** Names, in lower case, and values in turn: without credentials, and with what the host says. */
  readonly headers: readonly string[];
}

export interface DirectEnd {
  /** The response was sent to its end. */
  readonly answered: boolean;
  readonly status: number;
  /** "" if there is none. */
  readonly contentType: string;
  /** What the call failed with, if it did and it came so far. */
  readonly error: ConnectError | undefined;
}

export interface DirectCall {
  readonly bytes: ByteCount;
  /** Resolves when the request is answered, or will never be. */
  readonly ended: Promise<DirectEnd>;
  /** Ends the call: with this error if nothing was answered yet, else as a stream ends, or with a reset. */
  cut(error: ConnectError): void;
}

/** HTTP requests become calls of a plugin that has no socket. */
export interface DirectPlugin {
  /** Answers a request, in any of the three protocols. */
  call(request: DirectRequest): DirectCall;
  /** Calls in flight, and later ones, fail. Idempotent. */
  close(): Promise<void>;
}

interface CallNotes {
  error?: ConnectError;
  /** Ends what is left of a stream. */
  cut?: AbortController;
}

const notesKey: ContextKey<CallNotes | undefined> = createContextKey<CallNotes | undefined>(undefined, {
  description: "what the router notes of a call",
});

/** @throws {Error} when the plugin cannot be called, as it is gone. */
export function createDirectPlugin({ upstream, maxMessageBytes, onError }: DirectPluginOptions): DirectPlugin {
  const { endpoint, plugins } = upstream;
  const { transport, close } = endpoint.open({ maxMessageBytes, callTimeoutMs: 0 });
  const notes = new WeakMap<NodeServerRequest, CallNotes>();
  const handler = createRpcHandler({
    routes(router) {
      for (const { service } of Object.values(plugins)) {
        forwardCalls(router, service, {
          transport,
          onError(error, context) {
            const noted = context.values.get(notesKey);
            if (noted !== undefined) noted.error = error;
          },
          cutOf(context) {
            const noted = context.values.get(notesKey);
            if (noted === undefined) return undefined;
            noted.cut ??= new AbortController();
            return noted.cut.signal;
          },
        });
      }
    },
    // A plugin without HTTP has nothing but its services.
    fallback: (request, response) => answerError(request, response, notServed()),
    contextValues: (request, values) => void values.set(notesKey, notes.get(request)),
    maxMessageBytes,
    onError,
  });

  return {
    call({ request, response, path, headers }) {
      const noted: CallNotes = {};
      notes.set(request, noted);
      replaceHeaders(request, headers);
      request.url = path;
      const bytes = countBytes(request, response);
      const ended = new Promise<DirectEnd>((resolve) => {
        const end = (): void => {
          const contentType = String(response.getHeader("content-type") ?? "");
          const { statusCode: status } = response;
          resolve({ answered: isAnswered(request, response), status, contentType, error: noted.error });
        };
        if ("stream" in request) request.stream.once("close", end);
        else response.once("close", end);
      });
      handler(request, response);
      return { bytes, ended, cut: (error) => cutCall(request, response, noted, error) };
    },
    close,
  };
}

/** A response of HTTP/2 that its caller has reset looks as if it were sent. */
function isAnswered(request: NodeServerRequest, response: NodeServerResponse): boolean {
  const reset = "stream" in request && request.stream.rstCode !== constants.NGHTTP2_NO_ERROR;
  return response.writableFinished && !reset;
}

function cutCall(
  request: NodeServerRequest,
  response: NodeServerResponse,
  { cut }: CallNotes,
  error: ConnectError,
): void {
  if (!response.headersSent) answerError(request, response, error);
  else if (cut !== undefined) cut.abort(error);
  else if ("stream" in request) request.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}

/** Pseudo headers stay: Node reads them. */
function replaceHeaders({ headers }: NodeServerRequest, replacement: readonly string[]): void {
  for (const name of Object.keys(headers)) if (!name.startsWith(":")) delete headers[name];
  for (let index = 0; index + 1 < replacement.length; index += 2) {
    const name = replacement[index] ?? "";
    const value = replacement[index + 1] ?? "";
    const before = headers[name];
    // As RFC 9110, section 5.3, and for cookies RFC 9113, section 8.2.3.
    headers[name] = before === undefined ? value : [before, value].flat().join(name === "cookie" ? "; " : ", ");
  }
}

function notServed(): ConnectError {
  return new ConnectError("the plugin does not serve this path", Code.Unimplemented);
}
