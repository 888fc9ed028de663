import { Code, ConnectError, type ContextKey, createContextKey } from "@connectrpc/connect";
import { answerError } from "@cpg/core";
import { createRpcHandler, type NodeServerRequest, type NodeServerResponse } from "@cpg/core/extension";
import { type ByteCount, countBytes } from "./count-bytes.ts";
import { forwardCalls } from "./forward-calls.ts";
import type { DirectUpstream } from "../upstream.ts";

export interface DirectPluginOptions {
  readonly upstream: DirectUpstream;
  /** Bytes of one message, in and out. */
  readonly maxMessageBytes: number;
  /** Hears of errors that no caller gets to see. */
  onError(error: unknown): void;
}

/** A request, as its plugin is to see it. */
export interface DirectRequest {
  readonly request: NodeServerRequest;
  readonly response: NodeServerResponse;
  /** With its query. */
  readonly path: string;
  /** Names, in lower case, and values in turn: without credentials, and with what the host says. */
  readonly headers: readonly string[];
}

export interface DirectEnd {
  /** The response was sent to its end. */
  readonly answered: boolean;
  readonly status: number;
  /** What the call failed with, if it did and it came so far. */
  readonly error: ConnectError | undefined;
}

/** HTTP requests become calls of a plugin that has no socket. */
export interface DirectPlugin {
  /** Answers a request, in any of the three protocols; resolves when that has ended. */
  call(request: DirectRequest): { readonly bytes: ByteCount; readonly ended: Promise<DirectEnd> };
  /** Calls in flight, and later ones, fail. Idempotent. */
  close(): Promise<void>;
}

interface CallNotes {
  error?: ConnectError;
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
        const end = (): void =>
          resolve({ answered: response.writableFinished, status: response.statusCode, error: noted.error });
        if ("stream" in request) request.stream.once("close", end);
        else response.once("close", end);
      });
      handler(request, response);
      return { bytes, ended };
    },
    close,
  };
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
