import { Code, ConnectError } from "@connectrpc/connect";
import { retryLater } from "@cpg/resilience";

/** Why the host itself refuses a routed call, or gives it up. */
export type RouteFault =
  /** Nobody has registered it, or not that provider. */
  | "unknown"
  | "unhealthy"
  /** It did not say where it listens. */
  | "nowhere"
  /** The provider takes no calls yet. */
  | "standby"
  /** The provider takes no new calls. */
  | "draining"
  /** The host takes no new calls. */
  | "host-draining"
  /** No connection to the provider, or it refused the call unseen. */
  | "unreachable"
  /** Every connection to the provider is taken. */
  | "busy"
  /** The request cannot be written in the provider's version of HTTP. */
  | "request"
  /** The connection broke, or the provider reset the call; nobody knows how far it came. */
  | "lost";

/** Cause of the errors that the router itself answers with. Stays in this process. */
export class RouteError extends Error {
  override readonly name = "RouteError";
  readonly fault: RouteFault;
  readonly type: string;
  /** Undefined: no provider had been chosen. */
  readonly providerId: string | undefined;

  constructor(fault: RouteFault, target: RouteTarget, reason?: unknown) {
    super(`${describe(target)}: ${fault}`, reason === undefined ? undefined : { cause: reason });
    this.fault = fault;
    this.type = target.type;
    this.providerId = target.providerId;
  }
}

export interface RouteTarget {
  readonly type: string;
  readonly providerId?: string | undefined;
}

const answers: Record<RouteFault, { readonly code: Code; readonly says: (target: string) => string }> = {
  unknown: { code: Code.NotFound, says: (target) => `${target} is not registered` },
  unhealthy: { code: Code.Unavailable, says: (target) => `${target} is unhealthy` },
  nowhere: {
    code: Code.Unavailable,
    says: (target) => `${target} was registered without base_url, so nobody can reach it`,
  },
  standby: { code: Code.Unavailable, says: (target) => `${target} takes no calls yet` },
  draining: { code: Code.Unavailable, says: (target) => `${target} takes no new calls` },
  "host-draining": { code: Code.Unavailable, says: () => "the host is shutting down and takes no new calls" },
  unreachable: { code: Code.Unavailable, says: (target) => `${target} cannot be reached` },
  busy: { code: Code.ResourceExhausted, says: (target) => `${target} has too many calls open` },
  request: { code: Code.InvalidArgument, says: (target) => `the request cannot be passed on to ${target}` },
  lost: { code: Code.Unavailable, says: (target) => `${target} broke the call off` },
};

/**
 * The error for a caller, with a RouteError as its cause. It says nothing of addresses: where providers listen is the
 * host's affair.
 */
export function routeError(fault: RouteFault, target: RouteTarget, reason?: unknown): ConnectError {
  const { code, says } = answers[fault];
  const cause = new RouteError(fault, target, reason);
  const message = says(describe(target));
  return code === Code.ResourceExhausted
    ? retryLater(message, code, retryAfterMs, cause)
    : new ConnectError(message, code, undefined, undefined, cause);
}

/**
 * HTTP status of an error for callers whose protocol has one for each error. Undefined: that of its code. A gateway that
 * could not get an answer says 502, RFC 9110, section 15.6.3.
 */
export function httpStatusOf({ cause }: ConnectError): number | undefined {
  const isGateway = cause instanceof RouteError && (cause.fault === "unreachable" || cause.fault === "lost");
  return isGateway ? 502 : undefined;
}

/** A call may end at any time; a second is not long to wait, nor many refusals. */
const retryAfterMs = 1_000;

function describe({ type, providerId }: RouteTarget): string {
  return providerId === undefined ? `service ${type}` : `provider ${providerId} of ${type}`;
}
