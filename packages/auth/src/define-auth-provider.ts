import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthMethod, AuthOutcome, AuthProvider, AuthRequest } from "./auth-provider.ts";
import { authenticateCall } from "./authenticate-call.ts";

/**
 * Makes a provider of a way to authenticate; for ways of your own. What `authenticate` throws or rejects with counts as a
 * refusal, without its text: it may hold the credential.
 */
export function defineAuthProvider(method: AuthMethod, { onEvent }: AuthEventOptions = {}): AuthProvider {
  const { name, place } = method;
  const failed = (): AuthOutcome => ({ kind: "refused", reason: `provider ${name} failed` });
  const authenticate = (request: AuthRequest): AuthOutcome | Promise<AuthOutcome> => {
    try {
      const outcome = method.authenticate(request);
      if (isOutcome(outcome)) return outcome;
      // Also for promises of other libraries. What is no outcome lets nobody in.
      return Promise.resolve(outcome).then((late) => (isOutcome(late) ? late : failed()), failed);
    } catch {
      return failed();
    }
  };
  return {
    name,
    place,
    authenticate,
    clientInterceptor: () => method.clientInterceptor(),
    serverInterceptor: (options) => authenticateCall({ name, authenticate }, { ...options, onEvent }),
  };
}

const kinds: ReadonlySet<unknown> = new Set<AuthOutcome["kind"]>(["absent", "proved", "refused", "unavailable"]);

function isOutcome(outcome: unknown): outcome is AuthOutcome {
  return typeof outcome === "object" && outcome !== null && "kind" in outcome && kinds.has(outcome.kind);
}
