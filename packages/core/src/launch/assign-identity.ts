import { createClient } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { PluginIdentity } from "../gen/connectplugin/v1/plugin_pb.ts";
import { checkDeclarations, declaredServices } from "../handshake/request-checks.ts";
import type { IdentityRegistry } from "../identity/identity-registry.ts";
import type { RuntimeIdentity } from "../identity/runtime-identity.ts";
import { openCallTransport } from "../wire/call-transport.ts";
import { parseEndpoint } from "../wire/endpoint.ts";

/** The host that a managed plugin belongs to. A server with `identities` is one. */
export interface ManagingHost {
  /** Where the plugin reaches the host. */
  readonly endpoint: string;
  readonly identities: IdentityRegistry;
}

export interface AssignIdentityOptions {
  /** Where the plugin listens. */
  readonly endpoint: string;
  /** Proves the host to the plugin. */
  readonly controlToken: string;
  readonly host: ManagingHost;
  readonly clock?: Clock | undefined;
  /** Bound on each of the two calls, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives a managed plugin its runtime identity: asks what it is (GetPluginInfo), issues an identity and hands it over
 * (SetRuntimeIdentity). When the plugin does not take it, the identity is revoked.
 * @throws {ConnectError} of the calls; `invalid_argument` when the plugin describes itself against the rules.
 */
export async function assignIdentity(options: AssignIdentityOptions): Promise<RuntimeIdentity> {
  const { endpoint, controlToken, host, timeoutMs = 10_000, clock, signal } = options;
  const callOptions = { timeoutMs, ...(signal && { signal }) };
  const calls = openCallTransport({ endpoint: parseEndpoint(endpoint), httpVersion: "1.1", clock });
  try {
    const plugin = createClient(PluginIdentity, calls.transport);
    const info = await plugin.getPluginInfo({}, callOptions);
    checkDeclarations(info);
    const { identity, token } = host.identities.issue({
      selfId: info.selfId,
      selfVersion: info.selfVersion,
      declares: declaredServices(info),
    });
    try {
      await plugin.setRuntimeIdentity(
        { runtimeId: identity.runtimeId, runtimeToken: token, hostUrl: host.endpoint, controlToken },
        callOptions,
      );
    } catch (reason) {
      host.identities.revoke(identity.runtimeId);
      throw reason;
    }
    return identity;
  } finally {
    await calls.close();
  }
}
