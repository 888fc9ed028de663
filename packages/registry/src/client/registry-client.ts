import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { PluginDefinition } from "@cpg/core";
import {
  callListener,
  createServiceClient,
  REGISTRATION_METADATA,
  within,
  withMethodTimeouts,
} from "@cpg/core/extension";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { type BackoffOptions, type Clock, resolveBackoffOptions, systemClock } from "@cpg/resilience";
import { cryptoRandom } from "../selection/crypto-random.ts";
import { createFollowedTransport } from "./followed-transport.ts";
import { type KeptRegistration, keepRegistered } from "./kept-registration.ts";
import { createLinkPauses } from "./link-pauses.ts";
import type { RegistryLink } from "./registry-link.ts";
import { resumedWatch, type ServiceViews } from "./resumed-watch.ts";
import { checkOffer, type ServiceOffer } from "./service-offer.ts";

export interface RegistryClientOptions {
  /** URL under which the host reaches this plugin, for `register`. Default: that of the link, the server's own. */
  readonly baseUrl?: string | undefined;
  /** Bound on each call of the client's own, in ms. Default 10 000. */
  readonly attemptMs?: number | undefined;
  /** Delays while the host is away. Default: from 100 ms to 10 s, jitter "equal". */
  readonly backoff?: BackoffOptions | undefined;
  /**
   * Under hosts that cannot tell that they were restarted, such as those of connect-plugin-go: time between two looks
   * whether they still have what was registered, in ms. Default 10 000.
   */
  readonly checkMs?: number | undefined;
  /** Hears that the host no longer takes a registration; it is offered again. What it throws is dropped. Default: nobody. */
  readonly onRefused?: ((type: string, error: ConnectError) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Source of jitter, at least 0 and less than 1. */
  readonly random?: (() => number) | undefined;
}

/** A provider that the host found. */
export interface DiscoveredService {
  readonly providerId: string;
  readonly version: string;
  /** Path below which the host passes calls on to it. */
  readonly endpointUrl: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** There was no choice. */
  readonly single: boolean;
}

export interface DiscoverOptions {
  /** Least version, by semantic version precedence. Default: any. */
  readonly minVersion?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ServiceOptions {
  /** Type under which the service is registered. Default: the one that the plugin provides at its path, else its name. */
  readonly type?: string | undefined;
  /** Least version of the provider. Default: any. */
  readonly minVersion?: string | undefined;
}

export interface RegisterOptions {
  /** How long the first attempts may take altogether, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The registry of a plugin's host, as the plugin uses it. */
export interface RegistryClient extends AsyncDisposable {
  /**
   * Offers a service besides those that `serve` registers by itself, and keeps it registered: over restarts of the host,
   * new identities and leases. The host may refuse what the program did not declare (`declares` of `serve`).
   * @throws {ConnectError} what the host refuses; `deadline_exceeded` when it is away all the time; `unavailable` when the
   * link is closed. The reason of `signal`. {RangeError} for a bad `leaseMs`, `weight` or `timeoutMs`. Nothing stays
   * registered then.
   */
  register(offer: ServiceOffer, options?: RegisterOptions): Promise<KeptRegistration>;
  /**
   * One provider, of the host's choice.
   * @throws {ConnectError} `not_found`; `unavailable` while the link is down or no provider is healthy.
   */
  discover(type: string, options?: DiscoverOptions): Promise<DiscoveredService>;
  /**
   * What becomes of a service type: its present state, then each change, or the newest for a slow reader. Goes on after
   * breaks of the connection, without a gap or with a view that has `restarted`; ends when its reader leaves.
   * @throws {ConnectError} to the reader: what the host refuses, `unavailable` when the link is closed, `canceled` when the
   * client is. The reason of `signal`.
   */
  watch(type: string, options?: { readonly signal?: AbortSignal | undefined }): ServiceViews;
  /**
   * A typed client of another plugin's service. It follows the registry: calls go to a provider that is there. Of a host of
   * ours each call gets the provider that the host's selection picks; with a least version, or under another host, calls
   * go to one provider until the registry tells of a change or a call fails with `unavailable`, and then to the next. A
   * call that failed is not sent again: that is for a retry interceptor of the link.
   * @throws {TypeError} for a type that is no segment of a path.
   * @example const log = registry.service(logger); await log.log({ level: "info", message: "hello" });
   */
  service<Service extends DescService>(
    plugin: PluginDefinition<string, Service>,
    options?: ServiceOptions,
  ): Client<Service>;
  /**
   * Takes back what `register` registered, and ends watches; calls fail with `canceled` from now on. Never fails.
   * Idempotent.
   */
  close(): Promise<void>;
}

/**
 * The plugin's side of the registry, over its link to the host (`server.link`), under hosts of ours and of others.
 * @throws {RangeError} naming the option.
 */
export function registryClient(link: RegistryLink, options: RegistryClientOptions = {}): RegistryClient {
  const { baseUrl, attemptMs, checkMs, backoff, onRefused, clock, random } = resolveOptions(options);
  const registry = createClient(ServiceRegistry, link.transport);
  const registrations = new Set<KeptRegistration>();
  const followed = new Map<string, Transport>();
  const closing = new AbortController();
  const pauses = () => createLinkPauses({ link, backoff, random, clock });
  const place = () =>
    baseUrl === undefined ? link.registrationMetadata : { [REGISTRATION_METADATA.baseUrl]: baseUrl };

  const begin = (offer: ServiceOffer) => {
    const begun = keepRegistered({
      offer,
      registry,
      link,
      pauses: pauses(),
      clock,
      place,
      attemptMs,
      checkMs,
      onRefused: (error) =>
        callListener(
          () => onRefused(offer.type, error),
          () => {}, // whoever observes must not break what is observed
        ),
      onEnd: (ended) => void registrations.delete(ended),
    });
    registrations.add(begun.registration);
    return begun;
  };
  const discover = async (type: string, { minVersion = "", signal }: DiscoverOptions): Promise<DiscoveredService> => {
    closing.signal.throwIfAborted();
    const request = { serviceType: type, minVersion };
    const { endpoint, singleProvider } = await registry.discoverService(request, {
      ...(signal && { signal }),
      timeoutMs: attemptMs,
    });
    if (endpoint === undefined) throw new ConnectError(`the host found ${type}, but not where`, Code.Internal);
    const { providerId, version, endpointUrl, metadata } = endpoint;
    return { providerId, version, endpointUrl, metadata: { ...metadata }, single: singleProvider };
  };
  const watch = (type: string, signal?: AbortSignal): ServiceViews =>
    resumedWatch({
      type,
      open: (order, abort) => registry.watchService(order, { signal: abort }),
      pauses: pauses(),
      signal: signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]),
    });

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing.abort(new ConnectError("the registry client is closed", Code.Canceled));
    followed.clear();
    await Promise.all(Array.from(registrations, (registration) => registration.unregister()));
  };

  const client: RegistryClient = {
    async register(offer, { timeoutMs = 10_000, signal } = {}) {
      if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be greater than 0, got ${timeoutMs}`);
      checkOffer(offer);
      closing.signal.throwIfAborted();
      signal?.throwIfAborted();
      const begun = begin(offer);
      const late = () => tooLate(offer.type, timeoutMs, begun.lastError);
      try {
        await within(clock, timeoutMs, () => begun.accepted, late, signal);
      } catch (reason) {
        void begun.registration.unregister();
        throw reason;
      }
      return begun.registration;
    },
    discover: (type, discoverOptions = {}) => discover(type, discoverOptions),
    watch: (type, { signal } = {}) => watch(type, signal),
    service(plugin, { type = typeOf(plugin), minVersion = "" } = {}) {
      closing.signal.throwIfAborted();
      const key = `${type} ${minVersion}`;
      const transport =
        followed.get(key) ??
        createFollowedTransport({
          type,
          minVersion,
          link,
          clock,
          discover: () => discover(type, { minVersion }),
          watch: (signal) => watch(type, signal),
          closed: closing.signal,
        });
      followed.set(key, transport);
      return createServiceClient(plugin.service, withMethodTimeouts(plugin, transport));
    },
    close() {
      closed ??= close();
      return closed;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
  return client;
}

/** @throws {RangeError} naming the option. */
function resolveOptions(options: RegistryClientOptions) {
  const { baseUrl, attemptMs = 10_000, checkMs = 10_000, onRefused = () => {} } = options;
  const { clock = systemClock, random = cryptoRandom } = options;
  for (const [name, ms] of Object.entries({ attemptMs, checkMs })) {
    if (!(Number.isFinite(ms) && ms > 0))
      throw new RangeError(`${name} must be a number of ms greater than 0, got ${ms}`);
  }
  const backoff = resolveBackoffOptions({ ...options.backoff, jitter: options.backoff?.jitter ?? "equal" });
  return { baseUrl, attemptMs, checkMs, backoff, onRefused, clock, random };
}

function typeOf({ name, servicePath, provides }: PluginDefinition): string {
  return provides.find(({ path }) => path === servicePath)?.type ?? name;
}

function tooLate(type: string, timeoutMs: number, lastError: ConnectError | undefined): ConnectError {
  const why = lastError === undefined ? "" : ` (last error: ${lastError.message})`;
  const message = `the host did not take ${type} within ${timeoutMs} ms${why}`;
  return new ConnectError(message, Code.DeadlineExceeded, undefined, undefined, lastError);
}
