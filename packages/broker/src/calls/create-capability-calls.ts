import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { answerError, type HttpRoute, type IdentityRegistry } from "@cpg/core";
import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import { type AuditEvent, auditedGrant } from "../audit/audit-event.ts";
import type { Capability } from "../capabilities/capability.ts";
import type { CallGrant } from "../capabilities/capability-grant-key.ts";
import type { CapabilitySet } from "../capabilities/capability-set.ts";
import { grantRefused } from "../grant-refused.ts";
import type { Grant } from "../grants/grant.ts";
import type { EnteredCall, Grants } from "../grants/grants.ts";
import { type CallCredentials, takeCredentials } from "./call-credentials.ts";
import { createCallInProgress } from "./call-in-progress.ts";
import { CAPABILITIES_PREFIX, type CapabilityPath, parseCapabilityPath } from "./capability-path.ts";
import type { CapabilityServer } from "./capability-server.ts";
import { cutResponse } from "./cut-response.ts";
import { checkHolderProof } from "./holder-proof.ts";
import { serveHttp } from "./serve-http.ts";
import { serveRpcs } from "./serve-rpcs.ts";

export interface CapabilityCallsOptions {
  readonly capabilities: CapabilitySet;
  readonly grants: Pick<Grants, "check" | "enter" | "find">;
  readonly identities: Pick<IdentityRegistry, "verify" | "get">;
  readonly interceptors: readonly Interceptor[];
  readonly requireHolderProof: boolean;
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  audit(event: AuditEvent): void;
  onError(error: unknown): void;
}

export interface CapabilityCalls {
  readonly route: HttpRoute;
  /** Full names of the methods of a capability; undefined: it has none. */
  methodsOf(capability: Capability): ReadonlySet<string> | undefined;
}

interface AdmittedCall {
  readonly server: CapabilityServer;
  readonly grant: CallGrant;
  readonly entered: EnteredCall;
  /** Path and query, as the capability sees them. */
  readonly rest: string;
}

/**
 * Serves /capabilities/{type}/{grant_id}/{rest}. A call needs the token of its grant, and proof of its holder where the
 * capability asks for it; then its place among the calls of the grant. No call waits for another here. Errors have the form
 * of the caller's protocol.
 * @throws {TypeError} when a capability serves an RPC twice. {RangeError} naming the limit.
 */
export function createCapabilityCalls(options: CapabilityCallsOptions): CapabilityCalls {
  const { capabilities, grants, identities, requireHolderProof, clock, audit, onError } = options;
  const servers = new Map<Capability, CapabilityServer>();
  for (const capability of capabilities.all) {
    const { serves } = capability;
    servers.set(capability, serves.kind === "rpc" ? serveRpcs(serves, options) : serveHttp(serves, onError));
  }

  const serverOf = ({ type, version }: Grant) => {
    const capability = capabilities.get(type, version);
    const server = capability && servers.get(capability);
    if (server === undefined) throw new ConnectError(`this host has no ${type} ${version}`, Code.NotFound);
    return { server, isProofRequired: capability?.requireHolderProof ?? requireHolderProof };
  };

  const admit = ({ type, grantId, rest }: CapabilityPath, { token, proof }: CallCredentials): AdmittedCall => {
    if (token === undefined) {
      throw grantRefused("the token of the grant is required: Authorization: Bearer", Code.Unauthenticated);
    }
    const grant = grants.check(grantId, type, token);
    const holder = identities.get(grant.holder);
    if (holder === undefined) throw grantRefused("the holder of the grant is gone", Code.Unauthenticated);
    const { server, isProofRequired } = serverOf(grant);
    const isProven = checkHolderProof(identities, holder, proof, isProofRequired);
    const method = server.methodOf(rest);
    const entered = grants.enter(grantId, method);
    const timeMs = clock.now();
    audit({ ...auditedGrant(grant), type: "used", method: method ?? pathForAudit(rest), timeMs });
    const { accessor, version, methods } = grant;
    return { server, grant: { accessor, holder, isProven, type, version, methods }, entered, rest };
  };

  const refuse = (request: NodeServerRequest, response: NodeServerResponse, reason: unknown, grant?: Grant): void => {
    const isOurs = reason instanceof ConnectError;
    if (!isOurs) onError(reason);
    const error = isOurs ? reason : new ConnectError("internal error", Code.Internal);
    const { accessor, holder, type: capability } = grant ?? {};
    audit({ type: "refused", timeMs: clock.now(), accessor, holder, capability, error });
    answerError(request, response, error);
  };

  const handle = (request: NodeServerRequest, response: NodeServerResponse): void => {
    const credentials = takeCredentials(request);
    let path: CapabilityPath | undefined;
    let admitted: AdmittedCall;
    try {
      path = parseCapabilityPath(request.url ?? "");
      admitted = admit(path, credentials);
    } catch (reason) {
      refuse(request, response, reason, path && grants.find(path.grantId));
      return;
    }
    const { server, grant, entered, rest } = admitted;
    const { signal, leave } = entered;
    if (signal.aborted) {
      // Who heard of the use has ended the grant: nothing would cut the call any more.
      leave();
      refuse(request, response, signal.reason);
      return;
    }
    const call = createCallInProgress({ grant, signal, cut: () => cutResponse(request, response), leave });
    response.once("close", call.hold());
    request.url = rest;
    server.serve({ request, response, call });
  };
  return {
    route: { path: CAPABILITIES_PREFIX, prefix: true, handle },
    methodsOf: (capability) => servers.get(capability)?.methods,
  };
}

/** Characters of a path that an audit event keeps; a query is not for it. */
const maxAuditedPath = 256;

function pathForAudit(rest: string): string {
  const question = rest.indexOf("?");
  return rest.slice(0, Math.min(maxAuditedPath, question < 0 ? rest.length : question));
}
