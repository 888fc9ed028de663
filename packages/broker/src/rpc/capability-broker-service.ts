import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { checkFreeText, checkMinVersion, checkName } from "@cpg/core/extension";
import type { CapabilityBroker } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import type { CapabilitySet } from "../capabilities/capability-set.ts";
import type { Grants } from "../grants/grants.ts";
import type { PolicyDesk } from "../policy/policy-desk.ts";
import { readTtl } from "./read-ttl.ts";
import { wireGrant } from "./wire-grant.ts";

export interface CapabilityBrokerDeps {
  readonly capabilities: CapabilitySet;
  readonly grants: Pick<Grants, "issue">;
  readonly policy: PolicyDesk;
  /** Aborts, with the error for callers, when nothing new is taken. */
  readonly draining: AbortSignal;
  publicUrl(): string;
  /** The verified caller. @throws {ConnectError} `unauthenticated`. */
  callerOf(context: HandlerContext): RuntimeIdentity;
  onRequested(question: CapabilityQuestion): void;
  onDenied(question: CapabilityQuestion, error: ConnectError): void;
}

/** What a plugin asks for, cut to size. */
export interface CapabilityQuestion {
  readonly holder: string;
  readonly capability: string;
  readonly minVersion: string;
  readonly reason: string;
}

/** Characters of each field that an audit event keeps: more than any rule allows. */
const maxAudited = 256;

/** UTF-8 bytes of what a plugin says that it wants a grant for. */
export const MAX_REASON_BYTES = 256;

/** connectplugin.v1.CapabilityBroker. Everything is checked, and policy asked, before there is a grant. */
export function createCapabilityBrokerService(deps: CapabilityBrokerDeps): ServiceImpl<typeof CapabilityBroker> {
  const { capabilities, grants, policy, draining, publicUrl, callerOf, onRequested, onDenied } = deps;
  return {
    async requestCapability({ capabilityType: type, minVersion, reason, ttl }, context) {
      const identity = callerOf(context);
      // Also what breaks the rules is a request, and heard of; but nobody makes the host's audit long.
      const question = {
        holder: identity.runtimeId,
        capability: type.slice(0, maxAudited),
        minVersion: minVersion.slice(0, maxAudited),
        reason: reason.slice(0, maxAudited),
      };
      onRequested(question);
      try {
        draining.throwIfAborted();
        checkName("capability_type", type);
        checkMinVersion("min_version", minVersion);
        checkFreeText("reason", reason, MAX_REASON_BYTES);
        const ttlMs = readTtl(ttl);
        const capability = capabilities.newest(type, minVersion);
        await policy.allow({ identity, capability, reason, signal: context.signal });
        // Whoever is gone by now gets nothing: the caller, its identity, or the host.
        context.signal.throwIfAborted();
        callerOf(context);
        draining.throwIfAborted();
        const { version } = capability;
        const issued = grants.issue({ type, version, holder: identity.runtimeId, ttlMs, reason });
        return { grant: wireGrant(issued, publicUrl()) };
      } catch (error) {
        onDenied(question, ConnectError.from(error));
        throw error;
      }
    },
  };
}
