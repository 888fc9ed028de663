import type { OutgoingHttpHeaders } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  createEndStreamSerialization,
  endStreamFlag,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { NodeServerRequest, NodeServerResponse } from "../listener/node-handler.ts";
import { endUnreadRequest } from "./end-unread-request.ts";

const endStream = createEndStreamSerialization(undefined);

/**
 * Answers a request of any kind with an error, in the protocol that it speaks: Connect, gRPC and gRPC-Web, unary and
 * streaming, by its content type; anything else gets the HTTP status that Connect has for the code, and the error as JSON.
 * What is left of the request's body is not waited for.
 */
export function answerError(request: NodeServerRequest, response: NodeServerResponse, error: ConnectError): void {
  const { status, header, body } = encodeError(request.headers["content-type"] ?? "", error);
  endUnreadRequest(request, response);
  response.writeHead(status, Object.fromEntries(header) satisfies OutgoingHttpHeaders);
  if (body === undefined) response.end();
  else response.end(body);
}

export interface EncodedError {
  readonly status: number;
  readonly header: Headers;
  /** Undefined: the headers are all. */
  readonly body?: Uint8Array;
}

/** The answer of `answerError`, for a request with this content type ("" if it has none). */
export function encodeError(contentType: string, error: ConnectError): EncodedError {
  // gRPC's own form of an answer without messages: trailers among the headers.
  // https://github.com/grpc/grpc/blob/v1.66.0/doc/PROTOCOL-HTTP2.md#responses
  if (contentType.startsWith("application/grpc")) {
    const header = setTrailerStatus(new Headers(), error);
    header.set("content-type", contentType);
    return { status: 200, header };
  }
  if (contentType.startsWith("application/connect+")) {
    const header = new Headers({ "content-type": contentType });
    const body = encodeEnvelope(endStreamFlag, endStream.serialize({ metadata: new Headers(), error }));
    return { status: 200, header, body };
  }
  const header = new Headers(error.metadata);
  header.set("content-type", "application/json");
  return { status: codeToHttpStatus(error.code), header, body: errorToJsonBytes(error, undefined) };
}
