import { Code, ConnectError } from "@connectrpc/connect";
import type { AssignedIdentity } from "../control/plugin-identity-service.ts";
import { allDeclarations } from "../definition/declared-services.ts";
import { type HandshakeResult, shakeHands } from "../handshake/handshake-client.ts";
import { DEFAULT_TOKEN_TTL_MS, SERVER_METADATA } from "../protocol/constants.ts";
import type { HostConnections } from "./host-connections.ts";
import type { HostLinkEvent, ResolvedLinkOptions } from "./host-link-options.ts";
import { createHostSession, type HostSession } from "./host-session.ts";
import { failureOf } from "./link-error.ts";
import { reachesHttp2 } from "./reaches-http2.ts";

export interface OpenHostSessionOptions extends ResolvedLinkOptions {
  readonly connections: HostConnections;
  readonly onEvent: (event: HostLinkEvent) => void;
}

/**
 * Shakes hands with a host: for an identity, or, when one was given, only for what the host can do; a host that then
 * refuses the handshake is taken for one that can do nothing beyond the protocol.
 * @throws {ConnectError} of the handshake; `failed_precondition` when the host issues no identity.
 */
export async function openHostSession(
  options: OpenHostSessionOptions,
  configuredUrl: string,
  given: AssignedIdentity | undefined,
  signal: AbortSignal,
): Promise<HostSession> {
  const { connections, plugins, attemptMs, clock, baseUrl, httpVersions, onEvent } = options;
  const hostUrl = given?.hostUrl ?? configuredUrl;
  const { provides } = allDeclarations(plugins);

  const greet = async (): Promise<HandshakeResult | undefined> => {
    try {
      return await shakeHands(connections.to({ hostUrl, httpVersion: "1.1" }), {
        plugins: {},
        magicCookie: options.magicCookie,
        appProtocolVersions: options.appProtocolVersions,
        ...(given === undefined && {
          selfId: options.selfId,
          selfVersion: options.selfVersion,
          declares: allDeclarations(plugins, options.declares),
        }),
        timeoutMs: attemptMs,
        signal,
        clock,
      });
    } catch (reason) {
      signal.throwIfAborted();
      const error = ConnectError.from(reason);
      if (given === undefined || failureOf(error) === "unavailable") throw error;
      return undefined;
    }
  };

  const facts = await greet();
  signal.throwIfAborted();
  const identity = given ?? facts?.identity;
  if (identity === undefined) {
    throw new ConnectError("the host shook hands but issued no identity: it takes no plugins", Code.FailedPrecondition);
  }
  const renewable = facts !== undefined && announces(facts.serverMetadata, SERVER_METADATA.runtime, "1");
  const http2 =
    facts?.http2 && (await reachesHttp2(connections.to({ hostUrl, httpVersion: "2" }), { ...options, signal }));
  const address = { hostUrl, httpVersion: http2 ? "2" : "1.1" } as const;
  return createHostSession({
    address,
    transport: connections.to(address),
    runtimeId: identity.runtimeId,
    runtimeToken: identity.runtimeToken,
    given: given !== undefined,
    renewable,
    hostMetadata: facts?.serverMetadata ?? {},
    ttlMs: given ? Number.POSITIVE_INFINITY : (facts?.identity?.ttlMs ?? DEFAULT_TOKEN_TTL_MS),
    provides,
    baseUrl,
    httpVersions,
    attemptMs,
    clock,
    onEvent,
  });
}

function announces(metadata: Readonly<Record<string, string>>, key: string, value: string): boolean {
  return Object.hasOwn(metadata, key) && metadata[key] === value;
}
