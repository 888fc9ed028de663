import type { ConnectError, Interceptor, Transport } from "@connectrpc/connect";
import { type BackoffOptions, type Clock, resolveBackoffOptions, systemClock } from "@cpg/resilience";
import type { AssignedIdentity } from "../control/plugin-identity-service.ts";
import type { OwnDeclarations } from "../definition/declared-services.ts";
import type { PluginSet } from "../definition/plugin-set.ts";
import { checkAppProtocolVersions } from "../handshake/version-negotiation.ts";
import type { HealthReporter } from "../health/health-reporter.ts";
import { cryptoRandom } from "../internal/crypto-random.ts";
import type { MagicCookie } from "../protocol/constants.ts";
import { type CallTransport, type ClientTlsOptions, openCallTransport } from "../wire/call-transport.ts";
import { warnOfCleartext } from "../wire/cleartext-warning.ts";
import { parseEndpoint } from "../wire/endpoint.ts";
import { keepCredentials } from "./authenticated-transport.ts";
import { type GrantCredentials, presentGrants } from "./granted-transport.ts";
import { checkHostEndpoints, type HostEndpoints } from "./host-choice.ts";
import type { LinkStateName } from "./link-state.ts";
import { rerouteCalls } from "./routed-transport.ts";

export interface HostLinkOptions {
  /**
   * The host at which this plugin registers itself; of several, one at a time. Undefined: a host manages the plugin, and
   * gives it its identity (`setIdentity`).
   */
  readonly hostUrl?: HostEndpoints | undefined;
  /** Name under which the plugin asks for a runtime identity. */
  readonly selfId: string;
  /** Free text, at most 64 bytes. */
  readonly selfVersion: string;
  /** What they provide is registered at the host. */
  readonly plugins: PluginSet;
  /** What this program provides and requires beside them; told to the host, not registered. Default: nothing. */
  readonly declares?: OwnDeclarations | undefined;
  /** URL under which the host reaches this plugin; read at each registration. Empty: not told. */
  readonly baseUrl: () => string;
  /** HTTP versions that are spoken there, such as "1.1,2"; read at each registration. Empty: not told. Default: not told. */
  readonly httpVersions?: (() => string) | undefined;
  readonly health: HealthReporter;
  /** Default: the cookie of the protocol. */
  readonly magicCookie?: MagicCookie | undefined;
  /** Default [1]. */
  readonly appProtocolVersions?: readonly number[] | undefined;
  /** For hosts at https URLs. */
  readonly tls?: ClientTlsOptions | undefined;
  /**
   * Interceptors of every call to the host, the handshake included; the first is outermost. An Authorization that they
   * set is sent with the handshake, to be admitted; on other calls the runtime token takes its place.
   */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Delays while the host is away. Default: from 100 ms to 10 s, jitter "equal". */
  readonly backoff?: BackoffOptions | undefined;
  /**
   * Longest time between two signs of life, in ms; shorter when the identity lives less than twice as long. A host that is
   * lost is missed by then; at once when its connection breaks (HTTP/2), or that of a call. Default 10 000.
   */
  readonly heartbeatMs?: number | undefined;
  /** Bound on each call of the link's own, in ms. Default 10 000. */
  readonly attemptMs?: number | undefined;
  /** How calls travel to a host, and who hears that a connection to it was lost. Does no I/O. Default: `openCallTransport`. */
  readonly connect?: ((hostUrl: string, httpVersion: "1.1" | "2", onLost: () => void) => CallTransport) | undefined;
  /** Hears what the link does and what goes wrong. What it throws is dropped. */
  readonly onEvent?: ((event: HostLinkEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Source of jitter, at least 0 and less than 1. */
  readonly random?: (() => number) | undefined;
}

export type HostLinkEvent =
  /** `error` is what led there, if something went wrong. */
  | { readonly type: "state"; readonly state: LinkStateName; readonly error: ConnectError | undefined }
  /** The host does not take a service; it is offered again, after the longest backoff. */
  | { readonly type: "registration-refused"; readonly service: string; readonly error: ConnectError }
  /** The host does not take a health report; the next one goes with the next sign of life. */
  | { readonly type: "health-refused"; readonly error: ConnectError }
  /** A new identity could not be had before the old one ends; it is tried again. */
  | { readonly type: "refresh-failed"; readonly error: ConnectError }
  /** A listener threw. */
  | { readonly type: "listener-failed"; readonly error: unknown };

/** The identity under which the plugin calls its host. Its token never leaves the link. */
export interface LinkIdentity {
  readonly runtimeId: string;
  readonly hostUrl: string;
}

export interface WaitOptions {
  /** In ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CloseLinkOptions {
  /** Bound on taking leave of the host, in ms. Default 5 000. */
  readonly timeoutMs?: number | undefined;
  /** Cuts the leave-taking short; the link closes all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** A plugin's link to its host. */
export interface HostLink extends AsyncDisposable {
  readonly state: LinkStateName;
  /** Undefined as long as no host knows this plugin. */
  readonly identity: LinkIdentity | undefined;
  /** The host that the link is about, or that it tried last; undefined as long as there is none. */
  readonly hostUrl: string | undefined;
  /**
   * Calls the host, or other plugins through it, under the identity that the plugin has at the time of the call. Fails
   * with `unavailable` (cause: LinkError) while the link is down. After an `unauthenticated` answer the link finds
   * out whether the host still knows the plugin, and shakes hands again if not.
   */
  readonly transport: Transport;
  /**
   * As `transport`, for calls of another plugin through the host: they go to `{prefix}/{method}`, for example
   * "/services/logger/-/Log", in place of the path of their service.
   * @throws {TypeError} for a prefix that is no path of plain segments.
   */
  transportTo(prefix: string): Transport;
  /**
   * As `transport`, for calls of what the host lends under a grant: they go to `{path}/{service}/{method}`, with the grant's
   * token, and prove beside it which plugin calls. An `unauthenticated` answer is about the grant: the link does nothing.
   * @throws {TypeError} for a path that is not of plain segments, and a token that no header can carry.
   */
  transportWith(grant: GrantCredentials): Transport;
  /** What the host announced of itself when it shook hands; empty as long as no host knows this plugin. */
  readonly hostMetadata: Readonly<Record<string, string>>;
  /** What a registration has to tell of where this plugin is; read it for each. Empty while it does not listen. */
  readonly registrationMetadata: Readonly<Record<string, string>>;
  /** Begins, once the plugin listens. A managed plugin waits for `setIdentity` all the same. Idempotent. */
  start(): void;
  /** Takes over the identity that the host gave, in place of any other. False: the link is closed. @throws {TypeError} for a malformed host URL. */
  setIdentity(given: AssignedIdentity): boolean;
  /** Hears of every change of `identity`, once each, when it can be used. Returns how to stop. */
  onIdentityChange(listener: (identity: LinkIdentity | undefined) => void): () => void;
  /**
   * The identity, as soon as the plugin is registered.
   * @throws {ConnectError} `deadline_exceeded` naming what the link is doing and its last error; `unavailable` when the
   * link closes; else the reason of `signal`. {RangeError} for a bad `timeoutMs`.
   */
  whenLinked(options?: WaitOptions): Promise<LinkIdentity>;
  /**
   * Takes back the registrations, so that nobody calls this plugin any more, and makes none from now on; the plugin can
   * still call others. Takes at most 10 s and never fails. Idempotent.
   */
  withdraw(): Promise<void>;
  /**
   * Takes back the registrations and the identity, and ends. Does not fail: what the host does not hear, it will notice.
   * @throws {RangeError} for a bad `timeoutMs`.
   */
  close(options?: CloseLinkOptions): Promise<void>;
}

export type ResolvedLinkOptions = ReturnType<typeof resolveLinkOptions>;

/** @throws {TypeError} {RangeError} naming the option. */
export function resolveLinkOptions(options: HostLinkOptions) {
  const { heartbeatMs = 10_000, attemptMs = 10_000, clock = systemClock, random = cryptoRandom } = options;
  const { interceptors = [], tls, httpVersions = () => "", onEvent = () => {} } = options;
  if (options.hostUrl !== undefined) checkHostEndpoints("hostUrl", options.hostUrl);
  checkMs("heartbeatMs", heartbeatMs);
  checkMs("attemptMs", attemptMs);
  if (options.appProtocolVersions !== undefined) {
    checkAppProtocolVersions("appProtocolVersions", options.appProtocolVersions);
  }
  const backoff = resolveBackoffOptions({ jitter: "equal", ...options.backoff });
  const connect = (hostUrl: string, httpVersion: "1.1" | "2", onLost: () => void): CallTransport => {
    const endpoint = parseEndpoint(hostUrl);
    const secure = endpoint.kind === "tcp" && endpoint.secure;
    warnOfCleartext(endpoint);
    return openCallTransport({
      endpoint,
      httpVersion,
      interceptors: [...interceptors, keepCredentials, rerouteCalls, presentGrants],
      onLost,
      clock,
      ...(secure && tls ? { tls } : {}),
    });
  };
  return {
    ...options,
    heartbeatMs,
    attemptMs,
    backoff,
    clock,
    random,
    httpVersions,
    onEvent,
    connect: options.connect ?? connect,
  };
}

function checkMs(name: string, ms: number): void {
  if (!(Number.isFinite(ms) && ms > 0))
    throw new RangeError(`${name} must be a number of ms greater than 0, got ${ms}`);
}

/** @throws {RangeError} naming the option. */
export function checkTimeoutMs(timeoutMs: number): void {
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs must be a number of ms from 0, got ${timeoutMs}`);
}
