import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

/** A request of Node's HTTP/1.1 server or of the compatible side of its HTTP/2 server. */
export type NodeServerRequest = IncomingMessage | Http2ServerRequest;

/** Its response; the methods whose types differ between the two have what both take. */
export type NodeServerResponse = (Omit<ServerResponse, "write"> | Omit<Http2ServerResponse, "write">) & {
  write(chunk: string | Uint8Array, callback?: (error: Error | null | undefined) => void): boolean;
  write(
    chunk: string | Uint8Array,
    encoding: BufferEncoding,
    callback?: (error: Error | null | undefined) => void,
  ): boolean;
  writeHead(status: number, headers?: OutgoingHttpHeaders): unknown;
};

/** Answers one request of HTTP/1.1 or HTTP/2. */
export type NodeHandler = (request: NodeServerRequest, response: NodeServerResponse) => void;

/**
 * Takes one HTTP/2 request as the bare stream that it is, without the objects that make it look like one of HTTP/1.1; or
 * returns false, and has not touched it. `rawHeaders`: names and values in turn, as received, pseudo headers among them.
 */
export type StreamHandler = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
) => boolean;
