import { type ContextKey, createContextKey } from "@connectrpc/connect";
import type { NodeServerRequest } from "../listener/node-handler.ts";

/** The Host header or :authority of a call, in its context values on the server. Undefined: it had none. */
export const authorityKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "authority of the request",
});

export function authorityOf(request: NodeServerRequest): string | undefined {
  return "authority" in request ? request.authority || request.headers.host : request.headers.host;
}
