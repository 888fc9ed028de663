import { constants } from "node:http2";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createReplayable } from "../internal/replayable.ts";
import { resetCodeOf } from "./stream-reset.ts";

/** A server may refuse a call because it is about to close the connection, or has too many; hardly ever twice in a row. */
const maxAttempts = 3;
/** Bytes of a request that are kept until the server answers. A longer one that is refused fails. */
const keptBytes = 64 * 1024;

/**
 * A client that sends a call again which the server refused without looking at it: it was on its way when the server said
 * GOAWAY, or there were too many. That is safe for any call, https://www.rfc-editor.org/rfc/rfc9113#section-8.7, and gRPC
 * does the same (transparent retries, gRFC A6). Streams too, as long as what they sent is still kept.
 */
export function retryRefused(client: UniversalClientFn): UniversalClientFn {
  return async (request) => {
    const body = request.body && createReplayable(request.body, { max: keptBytes, sizeOf });
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await client(body ? { ...request, body: body.open() } : request);
        body?.accepted();
        return response;
      } catch (reason) {
        const again = attempt < maxAttempts && isRefused(reason) && !request.signal?.aborted && body?.kept !== false;
        if (again) continue;
        body?.fail(reason);
        throw reason;
      }
    }
  };
}

const sizeOf = (chunk: Uint8Array): number => chunk.byteLength;

function isRefused(reason: unknown): boolean {
  for (let error = reason, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    if (resetCodeOf(error) === constants.NGHTTP2_REFUSED_STREAM) return true;
  }
  return false;
}
