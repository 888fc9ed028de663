import { type ContextKey, createContextKey, type Interceptor } from "@connectrpc/connect";
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
 * @throws {ConnectError} `unauthenticated` to the caller.
 */
export function requireIdentity(identities: IdentityRegistry): Interceptor {
  return (next) => async (req) => {
    const identity = identities.authenticate(req.header);
    req.contextValues.set(runtimeIdentityKey, identity).set(verifiedIdentityKey, identity);

    const { promise: ended, reject } = Promise.withResolvers<never>();
    ended.catch(() => {}); // nobody waits for it once the call has an answer
    const cuts: ((error: unknown) => void)[] = [];
    const stopListening = identity.onEnd((error) => {
      release();
      if (req.contextValues.get(outlivesIdentityKey)) return;
      reject(error);
      for (const cut of cuts) cut(error);
    });
    const release = (): void => {
      stopListening();
      req.signal.removeEventListener("abort", release);
    };
    // The only sign that a stream is over which its reader abandoned between two messages.
    req.signal.addEventListener("abort", release, { once: true });
    if (req.signal.aborted) release();

    try {
      if (!req.stream) return await Promise.race([next(req), ended]).finally(release);
      const requests = cuttableMessages(req.message, () => {});
      cuts.push(requests.cut);
      const res = await Promise.race([next({ ...req, message: requests.messages }), ended]);
      if (!res.stream) {
        release();
        return res;
      }
      const responses = cuttableMessages(res.message, release);
      cuts.push(responses.cut);
      return { ...res, message: responses.messages };
    } catch (reason) {
      release();
      throw reason;
    }
  };
}
