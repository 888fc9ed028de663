import { Code, ConnectError } from "@connectrpc/connect";
import { answerError } from "@cpg/core";
import type { NodeServerResponse } from "@cpg/core/extension";
import type { ServedHttp } from "../capabilities/capability.ts";
import type { CapabilityCall, CapabilityServer } from "./capability-server.ts";
import { cutResponse } from "./cut-response.ts";

/** Serves the requests of a capability that is a plain handler. */
export function serveHttp({ handler }: ServedHttp, onError: (error: unknown) => void): CapabilityServer {
  const run = async ({ request, response, call }: CapabilityCall): Promise<void> => {
    const { grant, signal } = call;
    const release = call.hold();
    try {
      await handler(request, response, { ...grant, signal });
    } catch (reason) {
      onError(reason);
      if (response.headersSent) cutResponse(request, response);
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

/** Without headers that belong to another answer, such as its length. */
function clean(response: NodeServerResponse): NodeServerResponse {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  return response;
}
