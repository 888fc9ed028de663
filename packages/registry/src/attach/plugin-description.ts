import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { DeclaredServices } from "@cpg/core";
import {
  ConnectionError,
  checkDeclarations,
  checkFreeText,
  checkMetadata,
  checkName,
  declaredServices,
} from "@cpg/core/extension";
import { PluginIdentity } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import type { UpstreamCalls } from "./upstream-calls.ts";

/** What a plugin says of itself. */
export interface PluginDescription extends DeclaredServices {
  readonly selfId: string;
  /** Free text, at most 64 bytes. */
  readonly selfVersion: string;
  /** "name" and "version" as a rule. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface AskOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks a plugin what it is (GetPluginInfo). Undefined: it does not tell, as it does not serve that.
 * @throws {ConnectError} `invalid_argument`, naming the field, for a description against the rules of the protocol;
 * `unavailable` or `deadline_exceeded` when there is no answer; `permission_denied` and `unauthenticated` as they come.
 */
export async function askDescription(
  calls: UpstreamCalls,
  options: AskOptions,
): Promise<PluginDescription | undefined> {
  let told: Awaited<ReturnType<typeof ask>>;
  try {
    told = await ask(calls, options);
  } catch (reason) {
    if (isNotServed(reason)) return undefined;
    throw reason;
  }
  const { selfId, selfVersion, metadata } = told;
  if (selfId !== "") checkName("self_id", selfId);
  checkFreeText("self_version", selfVersion);
  checkMetadata("metadata", metadata);
  checkDeclarations(told);
  return { selfId, selfVersion, metadata: { ...metadata }, ...declaredServices(told) };
}

function ask(calls: UpstreamCalls, options: AskOptions) {
  return calls.call((transport) => createClient(PluginIdentity, transport).getPluginInfo({}, options));
}

/** Whether an error says that nothing understands the call: 404, `unimplemented`, or no answer of the protocol at all. */
export function isNotServed(reason: unknown): boolean {
  const { code, cause } = ConnectError.from(reason);
  if (cause instanceof ConnectionError) return false;
  return code === Code.Unimplemented || code === Code.NotFound || code === Code.Unknown || code === Code.Internal;
}
