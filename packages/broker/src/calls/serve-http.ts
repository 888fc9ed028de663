import { constants } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { answerError } from "@cpg/core";
import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";
import type { ServedHttp } from "../capabilities/capability.ts";
import type { CapabilityCall, CapabilityServer } from "./capability-server.ts";

/** Serves the requests of a capability that is a plain handler. */
export function serveHttp({ handler }: ServedHttp, onError: (error: unknown) => void): CapabilityServer {
  const run = async ({ request, response, call }: CapabilityCall): Promise<void> => {
    const { grant, signal } = call;
    const release = call.hold();
    const onAbort = (): void => cut(request, response);
    signal.addEventListener("abort", onAbort, { once: true });
    response.once("close", () => signal.removeEventListener("abort", onAbort));
    try {
      await handler(request, response, { ...grant, signal });
    } catch (reason) {
      onError(reason);
      if (response.headersSent) cut(request, response);
      else answerError(request, clean(response), new ConnectError("internal error", Code.Internal));
    } finally {
      release();
    }
  };
  return {
    methods: undefined,
    methodOf: () => undefined,
    serve: (call) => void run(call).catch(onError),
  };
}

/**
 * Ends a response in such a way that its reader knows that it is not whole. Nothing is answered in its place, as the handler
 * may be about to write: to a response that is gone it may write, as to one whose reader left.
 */
function cut(request: NodeServerRequest, response: NodeServerResponse): void {
  if ("stream" in request) request.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}

/** Without headers that belong to another answer, such as its length. */
function clean(response: NodeServerResponse): NodeServerResponse {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  return response;
}
