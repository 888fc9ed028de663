import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { IdentityRegistry, RuntimeIdentity } from "@cpg/core";
import { checkFreeText, invalidField, isRuntimeId, RUNTIME_ID_RULE } from "@cpg/core/extension";
import type { GrantService } from "@cpg/core/gen/cpg/broker/v1/grant_pb";
import type { Grant } from "../grants/grant.ts";
import type { Grants } from "../grants/grants.ts";
import type { PolicyDesk } from "../policy/policy-desk.ts";
import { MAX_REASON_BYTES } from "./capability-broker-service.ts";
import { readTtl } from "./read-ttl.ts";
import { wireGrant, wireTtl } from "./wire-grant.ts";

export interface GrantServiceDeps {
  readonly grants: Pick<Grants, "renew" | "derive" | "giveBack" | "find">;
  readonly identities: Pick<IdentityRegistry, "get">;
  readonly policy: PolicyDesk;
  readonly draining: AbortSignal;
  publicUrl(): string;
  /** The verified caller. @throws {ConnectError} `unauthenticated`. */
  callerOf(context: HandlerContext): RuntimeIdentity;
  /** Full names of the methods of a capability; undefined: it has none. */
  methodsOf(type: string, version: string): ReadonlySet<string> | undefined;
  /** @param grant that the caller named, if there is one: its own or another's. */
  onRefused(caller: string | undefined, grant: Grant | undefined, error: ConnectError): void;
}

const maxGrantIdBytes = 128;

/** cpg.broker.v1.GrantService: what the holder of a grant can do with it. */
export function createGrantService(deps: GrantServiceDeps): ServiceImpl<typeof GrantService> {
  const { grants, identities, policy, draining, publicUrl, callerOf, methodsOf, onRefused } = deps;
  const checkGrantId = (grantId: string): void => checkFreeText("grant_id", grantId, maxGrantIdBytes);
  const heard = async <Answer>(
    context: HandlerContext,
    grantId: string,
    work: (caller: RuntimeIdentity) => Answer | Promise<Answer>,
  ): Promise<Answer> => {
    let caller: RuntimeIdentity | undefined;
    try {
      caller = callerOf(context);
      return await work(caller);
    } catch (reason) {
      onRefused(caller?.runtimeId, grants.find(grantId), ConnectError.from(reason));
      throw reason;
    }
  };
  return {
    renewGrant: (request, context) =>
      heard(context, request.grantId, ({ runtimeId }) => {
        const { grantId } = request;
        checkGrantId(grantId);
        const { ttlMs, renewable } = grants.renew(grantId, runtimeId, readTtl(request.ttl));
        return { ttl: wireTtl(ttlMs), renewable };
      }),

    deriveGrant: (request, context) =>
      heard(context, request.grantId, async (holder) => {
        draining.throwIfAborted();
        const { grantId, holderId, reason } = request;
        checkGrantId(grantId);
        if (!isRuntimeId(holderId)) throw invalidField("holder_id", RUNTIME_ID_RULE);
        checkFreeText("reason", reason, MAX_REASON_BYTES);
        const ttlMs = readTtl(request.ttl);
        const parent = grants.find(grantId);
        if (parent?.holder !== holder.runtimeId) throw unknownGrant();
        const methods = readMethods(request.methods, methodsOf(parent.type, parent.version));
        const other = () => {
          const identity = identities.get(holderId);
          if (identity === undefined) throw new ConnectError("holder_id names no plugin of this host", Code.NotFound);
          return identity;
        };
        await policy.allowDerived({ identity: other(), capability: parent, reason, signal: context.signal, holder });
        context.signal.throwIfAborted();
        callerOf(context);
        draining.throwIfAborted();
        const { runtimeId } = other();
        const issued = grants.derive(grantId, holder.runtimeId, { holder: runtimeId, methods, ttlMs, reason });
        return { grant: wireGrant(issued, publicUrl()) };
      }),

    returnGrant: ({ grantId }, context) =>
      heard(context, grantId, ({ runtimeId }) => {
        checkGrantId(grantId);
        grants.giveBack(grantId, runtimeId);
        return {};
      }),
  };
}

/** Undefined: all that the grant allows. */
function readMethods(names: readonly string[], known: ReadonlySet<string> | undefined): readonly string[] | undefined {
  if (names.length === 0) return undefined;
  if (known === undefined) throw invalidField("methods", "must be empty: the capability is plain HTTP and has none");
  // There are no more than the capability has, so nobody can make the host keep a long list.
  const methods = new Set(names);
  for (const name of methods) {
    if (!known.has(name)) throw invalidField("methods", "must be full names of methods of the capability");
  }
  return [...methods];
}

/** As of a grant that is another's: whoever does not hold it learns nothing of it. */
function unknownGrant(): ConnectError {
  return new ConnectError("grant_id names no live grant of this plugin", Code.NotFound);
}
