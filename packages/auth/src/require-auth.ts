import type { Interceptor } from "@connectrpc/connect";
import { authKey } from "./auth-context.ts";
import { unauthenticated } from "./auth-error.ts";

/**
 * Refuses calls of nobody with `unauthenticated`; for the services of a server that need somebody, inside a provider's
 * `serverInterceptor({ optional: true })`.
 */
export function requireAuth(): Interceptor {
  return (next) => (request) =>
    request.contextValues.get(authKey) === undefined ? Promise.reject(unauthenticated()) : next(request);
}
