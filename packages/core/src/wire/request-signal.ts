import { Code, ConnectError } from "@connectrpc/connect";
import type { NodeServerRequest, NodeServerResponse } from "../listener/node-handler.ts";

// Constants: an abort without a reason makes an exception with a stack for each call.
const answered = new ConnectError("the call has ended", Code.Canceled);
const callerLeft = new ConnectError("the caller canceled the call", Code.Canceled);

/**
 * A signal that aborts when a request is over: answered, or given up by its caller, `canceled` in both cases. connect-node's
 * own signal tells what the transport saw of a caller that left, which depends on the HTTP version, and on whether its
 * deadline or its own wish ended the call: aborted, internal, canceled.
 */
export function requestSignal(request: NodeServerRequest, response: NodeServerResponse): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort(response.writableFinished ? answered : callerLeft);
  if ("stream" in request) request.stream.once("close", end);
  else response.once("close", end);
  return controller.signal;
}
