import type { HandlerContext } from "@connectrpc/connect";
import { type IdentityRegistry, type RuntimeIdentity, runtimeIdentityKey } from "@cpg/core";

/**
 * The verified caller, as long as its identity is live: calls may outlast it.
 * @throws {ConnectError} `unauthenticated`.
 */
export function liveCaller(
  identities: Pick<IdentityRegistry, "get" | "authenticate">,
  context: HandlerContext,
): RuntimeIdentity {
  const identity = context.values.get(runtimeIdentityKey);
  const isLive = identity !== undefined && identities.get(identity.runtimeId) === identity;
  return isLive ? identity : identities.authenticate(context.requestHeader);
}
