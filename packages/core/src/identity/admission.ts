import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import { type Clock, type Peer, systemClock } from "@cpg/resilience";
import { within } from "../internal/bounded.ts";

/** A peer that asks for a runtime identity. */
export interface AdmissionRequest {
  /** The other end of the connection; undefined when it is not known. */
  readonly peer: Peer | undefined;
  /** Host or :authority of the request; undefined when it has none, as in memory. */
  readonly authority: string | undefined;
  readonly headers: Headers;
  /** What interceptors found out, such as the identity under `verifiedIdentityKey`. */
  readonly contextValues: ContextValues;
  /** The name that the peer gives itself. Well-formed, but only claimed. */
  readonly selfId: string;
  readonly selfVersion: string;
}

export type AdmissionDecision =
  | { readonly admitted: true }
  /** `rule` completes "admission refused: ", and the peer gets to read it. */
  | { readonly admitted: false; readonly rule: string };

/** Who may get a runtime identity. A policy that throws, rejects or takes longer than 10 s refuses. */
export interface AdmissionPolicy {
  /** For error messages. */
  readonly name: string;
  admit(request: AdmissionRequest): AdmissionDecision | Promise<AdmissionDecision>;
}

/** Cause of the `permission_denied` that a refused peer gets. */
export class AdmissionError extends Error {
  override readonly name = "AdmissionError";
  readonly policy: string;
  readonly rule: string;

  constructor(policy: string, rule: string, options?: ErrorOptions) {
    super(`${policy}: ${rule}`, options);
    this.policy = policy;
    this.rule = rule;
  }
}

/** Longest time that a policy may take. */
const decisionMs = 10_000;

/**
 * Asks a policy. Resolves when the peer is admitted.
 * @throws {ConnectError} `permission_denied`, naming the policy and its rule; never what a policy threw (that is the
 * cause).
 */
export async function requireAdmission(
  policy: AdmissionPolicy,
  request: AdmissionRequest,
  { clock = systemClock, signal }: { clock?: Clock | undefined; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  let decision: AdmissionDecision;
  try {
    const answer = policy.admit(request);
    decision = isPromise(answer)
      ? await within(
          clock,
          decisionMs,
          () => answer,
          () => new Error(`no decision within ${decisionMs} ms`),
          signal,
        )
      : answer;
  } catch (error) {
    throw refusal(policy, "the policy failed", error);
  }
  // Nothing but a clear yes admits, whatever an untyped policy returns.
  if (decision?.admitted === true) return;
  throw refusal(policy, decision?.rule ?? "not admitted");
}

function refusal(policy: AdmissionPolicy, rule: string, error?: unknown): ConnectError {
  const cause = new AdmissionError(policy.name, rule, { cause: error });
  return new ConnectError(`admission refused: ${cause.message}`, Code.PermissionDenied, undefined, undefined, cause);
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value;
}

/** Admits everybody who reaches the listener. */
export function openAdmission(): AdmissionPolicy {
  return { name: "openAdmission", admit: () => ({ admitted: true }) };
}

/**
 * Admits whom `predicate` returns true for: for example callers whose credentials an interceptor has verified.
 * @param name names the policy in refusals.
 * @example
 * admitWhen("api key", ({ contextValues }) => contextValues.get(verifiedIdentityKey) !== undefined)
 */
export function admitWhen(
  name: string,
  predicate: (request: AdmissionRequest) => boolean | Promise<boolean>,
): AdmissionPolicy {
  const decide = (admitted: boolean): AdmissionDecision =>
    admitted === true ? { admitted } : { admitted: false, rule: "its condition is not met" };
  return {
    name,
    admit(request) {
      const answer = predicate(request);
      return isPromise(answer) ? answer.then(decide) : decide(answer);
    },
  };
}
