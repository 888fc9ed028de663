import { constants } from "node:http2";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
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
    const body = request.body && replayable(request.body);
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

function isRefused(reason: unknown): boolean {
  for (let error = reason, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    if (resetCodeOf(error) === constants.NGHTTP2_REFUSED_STREAM) return true;
  }
  return false;
}

interface ReplayableBody {
  /** Whether another attempt may begin. */
  readonly kept: boolean;
  /** The body from its beginning, for one more attempt. */
  open(): AsyncIterable<Uint8Array>;
  /** The attempt under way is the last one. */
  accepted(): void;
  /** The call failed: whoever makes the body hears of it. */
  fail(reason: unknown): void;
}

/** Attempts share what has been read, and reads that are under way: a chunk that a refused attempt waited for is not lost. */
function replayable(body: AsyncIterable<Uint8Array>): ReplayableBody {
  const source = body[Symbol.asyncIterator]();
  let reads: Promise<IteratorResult<Uint8Array>>[] = [];
  let bytes = 0;
  let attempt = 0;
  let accepted = false;

  const count = (result: IteratorResult<Uint8Array>): IteratorResult<Uint8Array> => {
    if (!result.done) bytes += result.value.byteLength;
    return result;
  };
  const isKept = () => !accepted && bytes <= keptBytes;

  return {
    get kept() {
      return isKept();
    },
    open() {
      attempt++;
      const mine = attempt;
      let at = 0;
      const next = (): Promise<IteratorResult<Uint8Array>> => {
        if (mine !== attempt) return Promise.resolve({ done: true, value: undefined });
        if (isKept()) {
          reads[at] ??= source.next().then(count);
          return reads[at++] as Promise<IteratorResult<Uint8Array>>;
        }
        // What an earlier attempt has read ahead comes first; what this one has read is not needed any more.
        reads = reads.slice(at);
        at = 0;
        return reads.shift() ?? source.next();
      };
      return {
        [Symbol.asyncIterator]: () => ({
          next,
          // Before the server has answered this may be an attempt that is not the last.
          throw: (reason: unknown) => (accepted ? tell(reason) : Promise.resolve({ done: true, value: undefined })),
        }),
      };
    },
    accepted() {
      accepted = true;
    },
    fail(reason) {
      accepted = true;
      tell(reason).catch(() => {}); // who makes the body has nothing to add
    },
  };

  function tell(reason: unknown): Promise<IteratorResult<Uint8Array>> {
    return source.throw?.(reason) ?? Promise.reject(reason);
  }
}
