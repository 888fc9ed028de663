import type { IncomingMessage } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { NodeServerRequest, NodeServerResponse } from "../listener/node-handler.ts";

/** More than a peer can have sent before it saw the end of the response. */
const maxDiscardedBytes = 1024 * 1024;

/**
 * Lets a response reach a caller that is still sending its request, such as one with a message that is too long: what
 * remains of the request is discarded, and if that is much the stream or connection is cut.
 *
 * Without it an HTTP/2 caller waits for room to send what nobody reads (a Go client for ever), and over HTTP/1.1 the
 * connection is reset, or stuck, before the caller has read the response. A cut at once would overtake the response,
 * too; RFC 9113, section 8.1, and RFC 9112, section 9.6.
 */
export function endUnreadRequest(request: NodeServerRequest, response: NodeServerResponse): void {
  if ("stream" in request) {
    const { stream } = request;
    stream.once("finish", () => discard(stream, () => stream.close(constants.NGHTTP2_NO_ERROR)));
  } else {
    response.once("finish", () => {
      if (!request.complete) discard(request, () => request.socket.destroy());
    });
  }
}

/** Body of a request whose reader may stop early. With Node's own iterator, that destroys an HTTP/1.1 connection. */
export function bodyOf(request: NodeServerRequest): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) };
}

function discard(source: IncomingMessage | ServerHttp2Stream, cut: () => void): void {
  if (source.readableEnded || source.destroyed) return;
  let discarded = 0;
  source.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > maxDiscardedBytes) cut();
    // Node's HTTP/2 request object pauses its stream with every chunk that it does not want.
    else source.resume();
  });
  source.resume();
}
