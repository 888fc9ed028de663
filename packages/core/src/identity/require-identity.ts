import { type ContextKey, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { verifiedIdentityKey } from "@cpg/resilience";
import { cuttableCall } from "./cuttable-call.ts";
import type { IdentityRegistry } from "./identity-registry.ts";
import { runtimeIdentityKey } from "./runtime-identity.ts";

/** Set by a handler that ends the identity of its own caller, and wants to answer all the same. */
export const outlivesIdentityKey: ContextKey<boolean> = createContextKey(false, {
  description: "the call goes on when its identity ends",
});

/**
 * Server interceptor that lets only calls with a valid runtime identity through, and puts that identity into the
 * context values (`runtimeIdentityKey`, `verifiedIdentityKey`). When the identity ends, open calls and streams of its
 * holder end at once with `unauthenticated`, and the handler's signal aborts.
 *
 * Connect runs interceptors after it has read the message of a unary call; `identityGate` refuses before that.
 * @throws {ConnectError} `unauthenticated` to the caller.
 */
export function requireIdentity(identities: IdentityRegistry): Interceptor {
  return (next) => async (req) => {
    const identity = identities.authenticate(req.header);
    req.contextValues.set(runtimeIdentityKey, identity).set(verifiedIdentityKey, identity);

    return await cuttableCall(next, req, (cut) =>
      identity.onEnd((error) => {
        if (!req.contextValues.get(outlivesIdentityKey)) cut(error);
      }),
    );
  };
}

/**
 * The `requestGate` that belongs to `requireIdentity`: a caller without a valid identity is refused before anything of
 * its message is received. Option of a service or of a whole router.
 */
export function identityGate(identities: IdentityRegistry): (context: HandlerContext) => void {
  return ({ requestHeader }) => void identities.authenticate(requestHeader);
}
