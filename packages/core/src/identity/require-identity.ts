import { type ContextKey, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { verifiedIdentityKey } from "@cpg/resilience";
import { cuttableMessages } from "./cuttable-messages.ts";
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

    const { promise: ended, reject } = Promise.withResolvers<never>();
    ended.catch(() => {}); // nobody waits for it once the call has an answer
    const cuts: ((error: unknown) => void)[] = [];
    const release = identity.onEnd((error) => {
      if (req.contextValues.get(outlivesIdentityKey)) return;
      reject(error);
      for (const cut of cuts) cut(error);
    });
    if (!req.stream) {
      try {
        return await Promise.race([next(req), ended]);
      } finally {
        release();
      }
    }

    // The only sign that a stream is over which its reader abandoned between two messages.
    req.signal.addEventListener("abort", release, { once: true });
    const settle = (): void => {
      release();
      req.signal.removeEventListener("abort", release);
    };
    if (req.signal.aborted) settle();
    try {
      const requests = cuttableMessages(req.message, () => {});
      cuts.push(requests.cut);
      const res = await Promise.race([next({ ...req, message: requests.messages }), ended]);
      if (!res.stream) {
        settle();
        return res;
      }
      const responses = cuttableMessages(res.message, settle);
      cuts.push(responses.cut);
      return { ...res, message: responses.messages };
    } catch (reason) {
      settle();
      throw reason;
    }
  };
}

/**
 * The `requestGate` that belongs to `requireIdentity`: a caller without a valid identity is refused before anything of
 * its message is received. Option of a service or of a whole router.
 */
export function identityGate(identities: IdentityRegistry): (context: HandlerContext) => void {
  return ({ requestHeader }) => void identities.authenticate(requestHeader);
}
