import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { rateLimitMessage } from "./rate-limit-error.ts";

/** A request of Node's HTTP/1.1 server, or of the compatible side of its HTTP/2 server. */
export type LimitedHttpRequest = IncomingMessage | Http2ServerRequest;

/** The response of either server, as far as a rate limit needs it. */
export interface LimitedHttpResponse {
  writeHead(status: number, headers?: OutgoingHttpHeaders): unknown;
  addTrailers(trailers: OutgoingHttpHeaders): void;
  end(body?: string | Uint8Array): unknown;
}

/**
 * Answers a request that is too many in the protocol of its sender, with the delay in `retry-after`, in whole seconds
 * rounded up, and `grpc-retry-pushback-ms`. Connect streams and gRPC get their error in a response of status 200, as
 * those protocols have it; all others HTTP 429, with the JSON that Connect clients expect of a unary call.
 */
export function answerTooMany(request: LimitedHttpRequest, response: LimitedHttpResponse, retryAfterMs: number): void {
  const ms = Math.ceil(retryAfterMs);
  const metadata = { "retry-after": `${Math.ceil(ms / 1000)}`, "grpc-retry-pushback-ms": `${ms}` };
  const type = request.headers["content-type"] ?? "";
  const [connectStream] = /^application\/connect\+(?:proto|json)\b/.exec(type) ?? [];
  const [grpc] = /^application\/grpc(?:-web|-web-text)?(?:\+(?:proto|json))?(?=$|;)/.exec(type) ?? [];
  if (connectStream !== undefined) {
    const values = Object.entries(metadata).map(([name, value]) => [name, [value]]);
    response.writeHead(200, { "content-type": connectStream });
    response.end(endOfStream({ error, metadata: Object.fromEntries(values) }));
  } else if (grpc?.startsWith("application/grpc-web")) {
    // A response without messages may have its trailers as headers.
    response.writeHead(200, { "content-type": grpc, ...grpcStatus, ...metadata });
    response.end();
  } else if (grpc !== undefined) {
    response.writeHead(200, { "content-type": grpc });
    response.addTrailers({ ...grpcStatus, ...metadata });
    response.end();
  } else {
    response.writeHead(429, { "content-type": "application/json", ...metadata });
    response.end(JSON.stringify(error));
  }
}

const error = { code: "resource_exhausted", message: rateLimitMessage };

const grpcStatus = { "grpc-status": "8", "grpc-message": rateLimitMessage };

/** The last message of a stream in the Connect protocol: flags, length, JSON. */
function endOfStream(json: object): Uint8Array {
  const body = Buffer.from(JSON.stringify(json));
  const head = Buffer.alloc(5);
  head.writeUInt8(0b10, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}
