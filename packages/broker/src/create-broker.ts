import { Code, ConnectError } from "@connectrpc/connect";
import type { HostContext, HostExtension, InstalledExtension } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import { CapabilityBroker } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { GrantService } from "@cpg/core/gen/cpg/broker/v1/grant_pb";
import type { AuditEvent } from "./audit/audit-event.ts";
import { auditedChange } from "./audited-change.ts";
import { type BrokerOptions, resolveBrokerOptions } from "./broker-options.ts";
import { createCapabilityCalls } from "./calls/create-capability-calls.ts";
import { createGrants } from "./grants/create-grants.ts";
import type { Grant } from "./grants/grant.ts";
import type { Grants } from "./grants/grants.ts";
import { createPolicyDesk } from "./policy/policy-desk.ts";
import { atBothPaths, OTHER_PREFIX } from "./rpc/at-both-paths.ts";
import { createCapabilityBrokerService } from "./rpc/capability-broker-service.ts";
import { createGrantService } from "./rpc/grant-service.ts";
import { heardIdentity } from "./rpc/heard-identity.ts";
import { liveCaller } from "./rpc/live-caller.ts";

/** What a host lends to its plugins, and to whom it has lent it. */
export interface Broker extends HostExtension {
  /** The live grants. */
  grants(): readonly Grant[];
  /** The live grant of that accessor. */
  grant(accessor: string): Grant | undefined;
  /** Ends a grant, all that was derived from it, and their open calls. This and the others return how many grants ended. */
  revoke(accessor: string, reason: string): number;
  /** Ends the grants of a plugin. */
  revokeHolder(runtimeId: string, reason: string): number;
  /** Ends the grants of a capability, in all its versions. */
  revokeCapability(type: string, reason: string): number;
  revokeAll(reason: string): number;
}

/**
 * A broker for one host, to be given to `serve` as an extension: plugins with an identity ask it for what the host lends,
 * and call that below /capabilities/ for as long as their grant lives.
 *
 * A grant lives for `ttlMs`, and is renewed by its holder up to `maxTtlMs`. It ends when the host revokes it, when its holder
 * gives it back, and with the identity of its holder; with it end what was derived from it, and all their open calls, with
 * `permission_denied`.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example
 * const broker = createBroker({ capabilities: [hostLogger(pino())] });
 * const host = await serve({ plugins: {}, impls: {}, extensions: [broker] });
 */
export function createBroker(options: BrokerOptions): Broker {
  const resolved = resolveBrokerOptions(options);
  const { capabilities, ttlMs, maxTtlMs, limits } = resolved;
  const { onAudit } = options;
  const onError = (error: unknown): void =>
    callListener(
      () => options.onError?.(error),
      () => {},
    );
  const audit = (event: AuditEvent): void => {
    if (onAudit !== undefined) callListener(() => onAudit(event), onError);
  };
  let live: Grants | undefined;

  const install = (host: HostContext): InstalledExtension => {
    if (live !== undefined) throw new ConnectError("a broker belongs to one host", Code.FailedPrecondition);
    const { identities, draining } = host;
    const { clock = host.clock } = resolved;
    const grants = createGrants({
      clock,
      limits,
      ttlMs,
      maxTtlMs,
      onEvent: (change) => audit(auditedChange(change, clock.now())),
      onError,
    });
    live = grants;
    const calls = createCapabilityCalls({ ...resolved, grants, identities, clock, audit, onError });
    const policy = createPolicyDesk({
      policy: resolved.policy,
      timeoutMs: resolved.decisionMs,
      maxPending: resolved.maxPendingDecisions,
      clock,
      onError,
    });
    const publicUrl = (): string => host.publicUrl().replace(/\/+$/, "");
    const parts = { capabilities, grants, identities, policy, draining, publicUrl };
    const callerOf = liveCaller.bind(undefined, identities);
    const forgetIdentities = identities.onEnd(({ runtimeId }, reason) => grants.endHolder(runtimeId, reason));
    return {
      routes(router) {
        const onRefused = (caller: string | undefined, grant: Grant | undefined, error: ConnectError): void => {
          const { accessor, holder, type: capability } = grant ?? {};
          audit({ type: "refused", timeMs: clock.now(), caller, accessor, holder, capability, error });
        };
        const guarded = () => heardIdentity(host, (error) => onRefused(undefined, undefined, error));
        const broker = createCapabilityBrokerService({
          ...parts,
          callerOf,
          onRequested: (question) => audit({ ...question, type: "requested", timeMs: clock.now() }),
          onDenied: (question, error) => audit({ ...question, type: "denied", timeMs: clock.now(), error }),
        });
        atBothPaths(router, (both) => both.service(CapabilityBroker, broker, guarded()));
        const methodsOf = (type: string, version: string) => {
          const capability = capabilities.get(type, version);
          return capability && calls.methodsOf(capability);
        };
        router.service(GrantService, createGrantService({ ...parts, callerOf, methodsOf, onRefused }), guarded());
      },
      httpRoutes: [calls.route],
      handshakeFacts: () => ({
        capabilities: capabilities.all.map(({ type, version }) => ({
          type,
          version,
          endpoint: `${publicUrl()}${OTHER_PREFIX}`,
        })),
      }),
      shutdown() {
        forgetIdentities();
        grants.close();
      },
    };
  };

  return {
    name: "broker",
    install,
    grants: () => live?.list() ?? [],
    grant: (accessor) => live?.get(accessor),
    revoke: (accessor, reason) => live?.revoke(accessor, reason) ?? 0,
    revokeHolder: (runtimeId, reason) => live?.revokeHolder(runtimeId, reason) ?? 0,
    revokeCapability: (type, reason) => live?.revokeCapability(type, reason) ?? 0,
    revokeAll: (reason) => live?.revokeAll(reason) ?? 0,
  };
}
