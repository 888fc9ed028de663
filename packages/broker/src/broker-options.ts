import type { Interceptor } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import type { AuditEvent } from "./audit/audit-event.ts";
import type { Capability } from "./capabilities/capability.ts";
import { type CapabilitySet, createCapabilitySet } from "./capabilities/capability-set.ts";
import { resolveGrantLimits } from "./grants/grant-limits.ts";
import type { GrantLimits } from "./grants/grants.ts";
import type { CapabilityPolicy } from "./policy/capability-policy.ts";
import { type DeclaredPolicyOptions, declaredPolicy } from "./policy/declared-policy.ts";

/** Bounds of a broker. */
export interface BrokerLimits extends GrantLimits {
  /** Bytes of one message of a capability's RPCs, in and out. Whole number from 1. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Decisions of the policy that one plugin may wait for at a time. Whole number from 1. Default 16. */
  readonly maxPendingDecisions?: number | undefined;
  /** Bound on one decision of the policy, in ms: then it is a no. Default 5 000. */
  readonly decisionMs?: number | undefined;
}

export interface BrokerOptions extends DeclaredPolicyOptions {
  /** What the host lends. Several versions of one type may be among them. */
  readonly capabilities: readonly Capability[];
  /**
   * Who gets what, in place of `allowed` and `strict`. Default: a plugin gets what `allowed` lists for it; one that is not
   * listed, what it declared to require; one that declares nothing, everything, unless `strict`.
   */
  readonly policy?: CapabilityPolicy | undefined;
  /** Time to live of a grant that names none, in ms. Whole number from 1. Default 1 h. */
  readonly ttlMs?: number | undefined;
  /** Time after which a grant ends however often it is renewed, in ms. Whole number from `ttlMs`. Default 24 h. */
  readonly maxTtlMs?: number | undefined;
  /**
   * Every call shows who holds its grant, of those capabilities that do not say otherwise. Default false: plugins of
   * connect-plugin-go cannot. A proof that is shown has to be right in any case.
   */
  readonly requireHolderProof?: boolean | undefined;
  /**
   * Of the calls of all capabilities; the first is outermost. Those of the server are not among them: the token of such a
   * call is the grant's. Default: none.
   */
  readonly interceptors?: readonly Interceptor[] | undefined;
  readonly limits?: BrokerLimits | undefined;
  /** Hears of everything that becomes of grants, in order. What it throws goes to `onError`, and harms no call. */
  readonly onAudit?: ((event: AuditEvent) => unknown) | undefined;
  /** Hears of errors that no caller gets to see, what policy and hooks throw among them. What it throws is dropped. */
  readonly onError?: ((error: unknown) => unknown) | undefined;
  /** Default: that of the server. */
  readonly clock?: Clock | undefined;
}

const hourMs = 60 * 60 * 1_000;

export interface ResolvedBrokerOptions {
  readonly capabilities: CapabilitySet;
  readonly policy: CapabilityPolicy;
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly requireHolderProof: boolean;
  readonly interceptors: readonly Interceptor[];
  readonly limits: GrantLimits;
  readonly maxMessageBytes: number;
  readonly maxPendingDecisions: number;
  readonly decisionMs: number;
  readonly clock: Clock | undefined;
}

/** @throws {TypeError} {RangeError} naming the option. */
export function resolveBrokerOptions(options: BrokerOptions): ResolvedBrokerOptions {
  const { capabilities, policy, allowed, strict, ttlMs = hourMs, maxTtlMs = Math.max(24 * hourMs, ttlMs) } = options;
  const { requireHolderProof = false, interceptors = [], limits = {}, clock } = options;
  const { maxMessageBytes = 4 * 1024 * 1024, maxPendingDecisions = 16, decisionMs = 5_000, ...grantLimits } = limits;
  if (!Array.isArray(capabilities)) throw new TypeError("capabilities must be a list of capabilities");
  if (policy !== undefined && (allowed !== undefined || strict !== undefined)) {
    throw new TypeError("policy takes the place of allowed and strict: give one or the other");
  }
  if (policy !== undefined && typeof policy?.allow !== "function") {
    throw new TypeError("policy must have a function allow");
  }
  if (typeof requireHolderProof !== "boolean") {
    throw new TypeError(`requireHolderProof must be true or false, got ${typeof requireHolderProof}`);
  }
  for (const [index, interceptor] of interceptors.entries()) {
    if (typeof interceptor !== "function") throw new TypeError(`interceptors[${index}] must be a function`);
  }
  for (const name of ["onAudit", "onError"] as const) {
    const hook: unknown = options[name];
    if (hook !== undefined && typeof hook !== "function") throw new TypeError(`${name} must be a function`);
  }
  resolveGrantLimits(grantLimits);
  checkWhole("ttlMs", ttlMs, 1);
  checkWhole("maxTtlMs", maxTtlMs, ttlMs);
  checkWhole("limits.maxMessageBytes", maxMessageBytes, 1);
  checkWhole("limits.maxPendingDecisions", maxPendingDecisions, 1);
  checkWhole("limits.decisionMs", decisionMs, 1);
  return {
    capabilities: createCapabilitySet(capabilities),
    policy: policy ?? declaredPolicy({ allowed, strict }),
    ttlMs,
    maxTtlMs,
    requireHolderProof,
    interceptors: [...interceptors],
    limits: grantLimits,
    maxMessageBytes,
    maxPendingDecisions,
    decisionMs,
    clock,
  };
}

function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number from ${least}, got ${value}`);
  }
}
