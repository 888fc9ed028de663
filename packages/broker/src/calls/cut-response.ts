import { constants } from "node:http2";
import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";

/**
 * Ends a response in such a way that its reader knows that it is not whole. Nothing is answered in its place, as a handler
 * may be about to write: to a response that is gone it may write, as to one whose reader left.
 */
export function cutResponse(request: NodeServerRequest, response: NodeServerResponse): void {
  if ("stream" in request) request.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}
