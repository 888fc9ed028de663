import { type ContextKey, createContextKey } from "@connectrpc/connect";
import type { NodeServerRequest } from "../listener/node-handler.ts";

/** The Host header or :authority of a call, in its context values on the server. Undefined: it had none. */
export const authorityKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "authority of the request",
});

/** Several Host headers, of which Node shows the first, are joined: that is the name of no host. */
export function authorityOf(request: NodeServerRequest): string | undefined {
  if ("authority" in request) return request.authority || request.headers.host;
  const { rawHeaders } = request;
  let authority: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length !== 4 || name.toLowerCase() !== "host") continue;
    const value = rawHeaders[index + 1] ?? "";
    authority = authority === undefined ? value : `${authority}, ${value}`;
  }
  return authority;
}
