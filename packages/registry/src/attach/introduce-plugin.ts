import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { IssuedIdentity, RuntimeIdentity, ServiceDeclaration } from "@cpg/core";
import { PluginIdentity } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import type { Upstream } from "../router/upstream.ts";
import type { ResolvedAttachOptions } from "./attach-options.ts";
import type { AttacherParts } from "./create-attacher.ts";
import { watchOwnRegistrations } from "./own-registrations.ts";
import { isNotServed, type PluginDescription } from "./plugin-description.ts";
import type { UpstreamCalls } from "./upstream-calls.ts";

export interface Introduction {
  readonly parts: AttacherParts;
  readonly calls: UpstreamCalls;
  readonly upstream: Upstream;
  readonly identity: RuntimeIdentity;
  /** What is to be handed over; undefined when the plugin has its identity already. */
  readonly issued: IssuedIdentity | undefined;
  readonly info: PluginDescription;
  readonly controlToken: string | undefined;
  readonly options: ResolvedAttachOptions;
  readonly signal: AbortSignal;
}

/**
 * Hands a plugin its identity, waits for what it registers itself, and registers the rest of what it provides.
 * @throws {ConnectError} of the call; `permission_denied` or `resource_exhausted` for what cannot be registered, and then
 * the host has registered nothing; the reason of the signal.
 */
export async function introducePlugin(introduction: Introduction): Promise<void> {
  const { parts, identity, issued, info, options, signal } = introduction;
  const own = watchOwnRegistrations(parts.store, identity.runtimeId, parts.host.clock);
  try {
    const registers = issued === undefined || (await handOver(introduction, issued));
    options.onStage("register", info);
    const types = info.provides.map(({ type }) => type);
    if (registers) await own.wait(types, options.registerWaitMs, signal);
    signal.throwIfAborted();
    const missing = info.provides.filter(
      // Of several versions of a type the first: a plugin has one registration of each.
      ({ type }, index) => !own.has(type) && types.indexOf(type) === index,
    );
    registerAll(introduction, missing);
  } finally {
    own.stop();
  }
}

/** False: the plugin has no use for an identity, as it does not serve SetRuntimeIdentity or has no link to a host. */
async function handOver({ parts, calls, controlToken = "", options, signal }: Introduction, issued: IssuedIdentity) {
  const { identities, publicUrl } = parts.host;
  const { token: runtimeToken } = issued;
  const { runtimeId } = issued.identity;
  // In use, even if the plugin never calls: the host gives identities up that are not when it needs room.
  identities.verify(runtimeId, runtimeToken);
  const request = { runtimeId, runtimeToken, hostUrl: publicUrl(), controlToken };
  try {
    const { acknowledged } = await calls.call((transport) =>
      createClient(PluginIdentity, transport).setRuntimeIdentity(request, {
        timeoutMs: options.callTimeoutMs,
        signal,
      }),
    );
    return acknowledged;
  } catch (reason) {
    signal.throwIfAborted();
    if (isNotServed(reason) || ConnectError.from(reason).code === Code.FailedPrecondition) return false;
    throw reason;
  }
}

function registerAll({ parts, identity, upstream }: Introduction, services: readonly ServiceDeclaration[]): void {
  const { store, access } = parts;
  for (const { type, version } of services) access.check({ action: "register", identity, type, version });
  const provider = { id: identity.runtimeId, selfId: identity.selfId, instance: instanceOf(identity, upstream) };
  const made: string[] = [];
  try {
    for (const { type, version, path = "/" } of services) {
      const facts = { type, version, endpointPath: path, metadata: {}, weight: 100, leaseMs: undefined, upstream };
      made.push(store.register(provider, facts).id);
    }
  } catch (reason) {
    for (const id of made) store.unregister(id, "removed");
    throw reason;
  }
}

/** Whoever is attached at the same place under the same name is the same instance. */
function instanceOf({ selfId, runtimeId }: RuntimeIdentity, upstream: Upstream): string {
  if (upstream.kind === "direct") return `attached:${runtimeId}`;
  if (upstream.kind === "unix") return `attached:${selfId} unix:${upstream.path}`;
  const { address, port, authority, basePath } = upstream;
  return `attached:${selfId} ${authority}${basePath} ${address} ${port}`;
}
