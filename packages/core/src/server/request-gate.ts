import { Code, ConnectError } from "@connectrpc/connect";
import type { NodeHandler, NodeServerRequest } from "../listener/node-handler.ts";
import { answerError } from "../wire/answer-error.ts";

/** Says why a request is refused, if it is. */
export type RequestGate = (request: NodeServerRequest) => ConnectError | undefined;

/** A handler that only requests reach which the gate lets through. */
export function behindGate(
  gate: RequestGate | undefined,
  handler: NodeHandler,
  onError: (error: unknown) => void,
): NodeHandler {
  if (gate === undefined) return handler;
  const check: RequestGate = (request) => {
    try {
      const refusal: unknown = gate(request);
      if (refusal === undefined || refusal instanceof ConnectError) return refusal;
      if (refusal instanceof Promise) refusal.catch(onError);
      throw new TypeError("gate must return a ConnectError or undefined, at once");
    } catch (error) {
      onError(error);
      return new ConnectError("internal error", Code.Internal);
    }
  };
  return (request, response) => {
    const refusal = check(request);
    if (refusal === undefined) handler(request, response);
    else answerError(request, response, refusal);
  };
}
