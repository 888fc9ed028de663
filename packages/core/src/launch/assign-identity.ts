import { createClient } from "@connectrpc/connect";
import { PluginIdentity } from "../gen/connectplugin/v1/plugin_pb.ts";
import { checkDeclarations, declaredServices } from "../handshake/request-checks.ts";
import type { IdentityRegistry } from "../identity/identity-registry.ts";
import type { RuntimeIdentity } from "../identity/runtime-identity.ts";
import { type ControlConnection, openControlTransport } from "./control-transport.ts";

/** The host that a managed plugin belongs to. A server with `identities` is one. */
export interface ManagingHost {
  /** Where the plugin reaches the host. */
  readonly endpoint: string;
  readonly identities: IdentityRegistry;
}

export interface AssignIdentityOptions extends ControlConnection {
  readonly host: ManagingHost;
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
  const { controlToken, host, timeoutMs = 10_000, signal } = options;
  const callOptions = { timeoutMs, ...(signal && { signal }) };
  const calls = openControlTransport(options);
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
