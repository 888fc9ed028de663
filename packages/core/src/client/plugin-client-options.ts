import type { Interceptor } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import { type CheckedPluginSet, checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import type { EndpointDiscovery } from "../discovery/endpoint-discovery.ts";
import { checkAppProtocolVersions } from "../handshake/version-negotiation.ts";
import { cryptoRandom } from "../internal/crypto-random.ts";
import { DEFAULT_APP_PROTOCOL_VERSION, DEFAULT_MAGIC_COOKIE, type MagicCookie } from "../protocol/constants.ts";
import { checkFreeText, checkMagicCookie, checkMetadata, checkName } from "../protocol/field-rules.ts";
import type { CallTransportOptions } from "../wire/call-transport.ts";
import type { DirectEndpoint } from "../wire/direct-endpoint.ts";

/** What settles how calls travel, handed through to the transport. */
type TransportChoices = Pick<
  CallTransportOptions,
  | "protocol"
  | "json"
  | "tls"
  | "connectTimeoutMs"
  | "callTimeoutMs"
  | "pingIntervalMs"
  | "pingTimeoutMs"
  | "maxMessageBytes"
  | "compression"
>;

export interface PluginClientOptions<Plugins extends PluginSet> extends TransportChoices {
  /**
   * Where the plugins are served: "http://host:port", "https://host:port" or "unix:/absolute/path"; or what reaches them
   * without a socket, for which the options about HTTP and TLS have no meaning.
   *
   * Several, as a list or a discovery, are servers of the same plugins. The client uses one of them until it cannot be
   * reached, then shakes hands with the next that can, and sends there the calls of which nothing was sent to the first.
   * A call that may have been processed is not sent again. With `tls` each of them has to be https; of addresses that
   * DNS names, `tls.servername` says whom the certificate is to name.
   */
  readonly endpoint: string | DirectEndpoint | readonly string[] | EndpointDiscovery;
  /** The plugins to use. The server has to offer all of them. */
  readonly plugins: Plugins & CheckedPluginSet<Plugins>;
  /** HTTP version of the calls. Default "auto": 2 when the server announces it and it works, else 1.1. */
  readonly httpVersion?: "auto" | "1.1" | "2" | undefined;
  /**
   * Interceptors of every call, the handshake included; the first is outermost. With several endpoints a call that is
   * sent to the next one passes them again.
   */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Default: the cookie of the protocol. */
  readonly magicCookie?: MagicCookie | undefined;
  /** Versions of the application's own protocol that this side speaks. Default [1]. What the first server settles stays. */
  readonly appProtocolVersions?: readonly number[] | undefined;
  /** Name under which this side asks for a runtime identity. Default: none asked for. */
  readonly selfId?: string | undefined;
  /** Free text, at most 64 bytes. */
  readonly selfVersion?: string | undefined;
  /** Free facts for the server. */
  readonly clientMetadata?: Readonly<Record<string, string>> | undefined;
  /** Bound on the handshake with one endpoint, connecting included, in ms. Default 10 000. */
  readonly handshakeTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Source of jitter, at least 0 and less than 1. */
  readonly random?: (() => number) | undefined;
}

export type ResolvedClientOptions = ReturnType<typeof resolvePluginClientOptions>;

/** Checks what no part of the client checks. @throws {TypeError} {RangeError} {ConnectError} naming the option. */
export function resolvePluginClientOptions<Plugins extends PluginSet>(options: PluginClientOptions<Plugins>) {
  const {
    plugins,
    httpVersion = "auto",
    magicCookie = DEFAULT_MAGIC_COOKIE,
    appProtocolVersions = [DEFAULT_APP_PROTOCOL_VERSION],
    selfId,
    selfVersion,
    clientMetadata,
    handshakeTimeoutMs = 10_000,
    clock = systemClock,
    random = cryptoRandom,
  } = options;
  checkPluginSet(plugins);
  if (httpVersion !== "auto" && httpVersion !== "1.1" && httpVersion !== "2") {
    throw new TypeError(`httpVersion must be "auto", "1.1" or "2", got ${JSON.stringify(httpVersion)}`);
  }
  if (!(handshakeTimeoutMs > 0 && Number.isFinite(handshakeTimeoutMs))) {
    throw new RangeError(`handshakeTimeoutMs must be a number of ms greater than 0, got ${handshakeTimeoutMs}`);
  }
  checkMagicCookie("magicCookie", magicCookie);
  checkAppProtocolVersions("appProtocolVersions", appProtocolVersions);
  if (selfId !== undefined) checkName("selfId", selfId);
  if (selfVersion !== undefined) checkFreeText("selfVersion", selfVersion);
  if (clientMetadata !== undefined) checkMetadata("clientMetadata", clientMetadata);
  const interceptors = [...(options.interceptors ?? [])];
  return {
    ...options,
    interceptors,
    httpVersion,
    magicCookie,
    appProtocolVersions,
    handshakeTimeoutMs,
    clock,
    random,
  };
}
