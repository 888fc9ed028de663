import { constants } from "node:http2";
import type { NodeServerRequest } from "../listener/node-handler.ts";

/** More than a peer can have sent before it saw the end of the response: windows begin with 64 KiB. */
const maxDiscardedBytes = 1024 * 1024;

/**
 * Ends an HTTP/2 request that is still being sent when its response is complete, such as one with a message that is too
 * long. Otherwise its sender waits for room to send the rest, which nobody will read: a Go client waits for ever.
 *
 * What comes is discarded for a while, and only then the stream reset, as RFC 9113, section 8.1, has it: a reset at once
 * could overtake the response in the peer.
 */
export function endUnreadRequest(request: NodeServerRequest): void {
  if (!("stream" in request)) return;
  const { stream } = request;
  stream.once("finish", () => {
    if (stream.readableEnded || stream.destroyed) return;
    let discarded = 0;
    stream.on("data", (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > maxDiscardedBytes) stream.close(constants.NGHTTP2_NO_ERROR);
      // Node's request object pauses the stream with every chunk that it does not want.
      else stream.resume();
    });
    stream.resume();
  });
}
