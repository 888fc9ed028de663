import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of Node's HTTP/1.1 server or of the compatible side of its HTTP/2 server. */
export type NodeServerRequest = IncomingMessage | Http2ServerRequest;
export type NodeServerResponse = ServerResponse | Http2ServerResponse;

/** Answers one request of HTTP/1.1 or HTTP/2. */
export type NodeHandler = (request: NodeServerRequest, response: NodeServerResponse) => void;
