import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { type Peer, peerKey } from "@cpg/resilience";
import { setAuth } from "./auth-context.ts";
import { cannotTell, unauthenticated } from "./auth-error.ts";
import type { AuthEvent, AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider, AuthRequest, ServerAuthOptions } from "./auth-provider.ts";

/** The interceptor of a server: whoever is proved gets in. Costs a call whose provider answers at once no promise. */
export function authenticateCall(
  provider: Pick<AuthProvider, "name" | "authenticate">,
  { optional = false, onEvent }: ServerAuthOptions & AuthEventOptions = {},
): Interceptor {
  return (next) => (request) => {
    const asked = new CallAuthRequest(request);
    const admit = (outcome: AuthOutcome) => {
      report(onEvent, provider.name, asked, outcome);
      if (outcome.kind === "proved") setAuth(request.contextValues, outcome.auth);
      else if (outcome.kind === "unavailable") return Promise.reject(cannotTell());
      else if (outcome.kind !== "absent" || !optional) return Promise.reject(unauthenticated());
      return next(request);
    };
    const outcome = provider.authenticate(asked);
    return outcome instanceof Promise ? outcome.then(admit) : admit(outcome);
  };
}

export function report(
  onEvent: AuthEventOptions["onEvent"],
  provider: string,
  { path, peer }: AuthRequest,
  outcome: AuthOutcome,
): void {
  if (onEvent === undefined) return;
  try {
    onEvent(eventOf(outcome, provider, { path, address: peer?.address }));
  } catch {
    // Whoever listens has nobody else to tell either.
  }
}

function eventOf(outcome: AuthOutcome, provider: string, facts: Pick<AuthEvent, "path" | "address">): AuthEvent {
  switch (outcome.kind) {
    case "proved":
      return { ...facts, kind: "proved", provider: outcome.auth.provider, identity: outcome.auth.identity };
    case "absent":
      return { ...facts, kind: "absent" };
    default:
      return { ...facts, kind: outcome.kind, provider, reason: outcome.reason };
  }
}

/** A class for its accessors: a provider looks at one of them, as a rule. */
class CallAuthRequest implements AuthRequest {
  readonly #request: UnaryRequest | StreamRequest;

  constructor(request: UnaryRequest | StreamRequest) {
    this.#request = request;
  }

  get header(): Headers {
    return this.#request.header;
  }

  get peer(): Peer | undefined {
    return this.#request.contextValues.get(peerKey);
  }

  get path(): string {
    const { service, method } = this.#request;
    return `/${service.typeName}/${method.name}`;
  }
}
