import { IncomingMessage, ServerResponse } from "node:http";
import { Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";
import type { Exchange } from "./exchange.ts";
import { createHttp1Exchange } from "./http1-exchange.ts";
import { createHttp2Exchange } from "./http2-exchange.ts";

/**
 * The exchange of a request of HTTP/1.1, or of one of HTTP/2 as Node's compatible side shows it. Nothing of it may have
 * been read, and its response is the exchange's.
 * @throws {TypeError} for objects that are no request and response of Node's servers.
 */
export function exchangeOf(request: NodeServerRequest, response: NodeServerResponse): Exchange {
  if (request instanceof IncomingMessage && response instanceof ServerResponse) {
    return createHttp1Exchange(request, response);
  }
  if (request instanceof Http2ServerRequest) {
    const { stream, headers, rawHeaders } = request;
    // Node's response object would send the trailers, and has none.
    stream.removeAllListeners("wantTrailers");
    return createHttp2Exchange(stream, headers, rawHeaders);
  }
  throw new TypeError("request and response must be those of a server of node:http or node:http2");
}

/** The exchange of a request of HTTP/2. To be called as soon as the stream is there. */
export function exchangeOfStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): Exchange {
  return createHttp2Exchange(stream, headers, rawHeaders);
}
