import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import type { PluginDefinition } from "@cpg/core";
import { callListener, createServiceClient, within } from "@cpg/core/extension";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { type BackoffOptions, type Clock, resolveBackoffOptions, systemClock } from "@cpg/resilience";
import { cryptoRandom } from "../selection/crypto-random.ts";
import { createFollowedTransport, type FollowedTransport } from "./followed-transport.ts";
import { type KeptRegistration, keepRegistered, type ServiceOffer } from "./kept-registration.ts";
import { createLinkPauses } from "./link-pauses.ts";
import type { RegistryLink } from "./registry-link.ts";
import { resumedWatch, type ServiceViews } from "./resumed-watch.ts";

export interface RegistryClientOptions {
  /** URL under which the host reaches this plugin, for `register`: `server.publicUrl`. Default: each offer says its own. */
  readonly baseUrl?: string | undefined;
  /** Bound on each call of the client's own, in ms. Default 10 000. */
  readonly attemptMs?: number | undefined;
  /** Delays while the host is away. Default: from 100 ms to 10 s, jitter "equal". */
  readonly backoff?: BackoffOptions | undefined;
  /** Hears that the host no longer takes a registration; it is offered again. Default: nobody. */
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
   * new identities and leases.
   * @throws {ConnectError} what the host refuses; `deadline_exceeded` when it is away all the time. {RangeError} for a bad
   * `leaseMs` or `timeoutMs`.
   */
  register(offer: ServiceOffer, options?: RegisterOptions): Promise<KeptRegistration>;
  /** @throws {ConnectError} `not_found`; `unavailable` while the link is down or no provider is healthy. */
  discover(type: string, options?: DiscoverOptions): Promise<DiscoveredService>;
  /**
   * What becomes of a service type: its present state, then each change, or the newest for a slow reader. Goes on after
   * breaks of the connection; ends when its reader leaves.
   * @throws {ConnectError} to the reader: what the host refuses, `unavailable` when the link is closed. The reason of `signal`.
   */
  watch(type: string, options?: { readonly signal?: AbortSignal | undefined }): ServiceViews;
  /**
   * A typed client of another plugin's service. It follows the registry: calls go to a provider that is there.
   * @example const log = registry.service(logger); await log.log({ level: "info", message: "hello" });
   */
  service<Service extends DescService>(
    plugin: PluginDefinition<string, Service>,
    options?: ServiceOptions,
  ): Client<Service>;
  /** Takes back what `register` registered, and ends watches. Never fails. Idempotent. */
  close(): Promise<void>;
}

/**
 * The plugin's side of the registry, over its link to the host (`server.link`), under hosts of ours and of others.
 * @throws {RangeError} naming the option.
 */
export function registryClient(link: RegistryLink, options: RegistryClientOptions = {}): RegistryClient {
  const { baseUrl, attemptMs = 10_000, clock = systemClock, random = cryptoRandom, onRefused = () => {} } = options;
  if (!(attemptMs > 0)) throw new RangeError(`attemptMs must be greater than 0, got ${attemptMs}`);
  const backoff = resolveBackoffOptions({ jitter: "equal", ...options.backoff });
  const registry = createClient(ServiceRegistry, link.transport);
  const registrations = new Set<KeptRegistration>();
  const followed = new Map<string, FollowedTransport>();
  const closing = new AbortController();
  const pauses = () => createLinkPauses({ link, backoff, random, clock });

  const discover = async (type: string, { minVersion = "", signal }: DiscoverOptions): Promise<DiscoveredService> => {
    const request = { serviceType: type, minVersion };
    const answer = await registry.discoverService(request, { ...(signal && { signal }), timeoutMs: attemptMs });
    const { providerId = "", version = "", endpointUrl = "", metadata = {} } = answer.endpoint ?? {};
    return { providerId, version, endpointUrl, metadata: { ...metadata }, single: answer.singleProvider };
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
    closing.abort(new ConnectError("the registry client is closed"));
    for (const { close } of followed.values()) close();
    followed.clear();
    await Promise.all([...registrations].map((registration) => registration.unregister()));
    registrations.clear();
  };

  const client: RegistryClient = {
    async register(offer, { timeoutMs = 10_000, signal } = {}) {
      if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be greater than 0, got ${timeoutMs}`);
      closing.signal.throwIfAborted();
      const registration = await within(
        clock,
        timeoutMs,
        (abort) =>
          keepRegistered(
            {
              offer: { baseUrl, ...offer },
              registry,
              link,
              pauses: pauses(),
              attemptMs,
              onRefused: (error) =>
                callListener(
                  () => onRefused(offer.type, error),
                  () => {},
                ),
              onEnd: (ended) => void registrations.delete(ended),
            },
            abort,
          ),
        () => tooLate(offer.type, timeoutMs),
        signal,
      );
      registrations.add(registration);
      return registration;
    },
    discover: (type, discoverOptions = {}) => discover(type, discoverOptions),
    watch: (type, { signal } = {}) => watch(type, signal),
    service(plugin, { type = typeOf(plugin), minVersion = "" } = {}) {
      closing.signal.throwIfAborted();
      const key = `${type} ${minVersion}`;
      let follower = followed.get(key);
      if (follower === undefined) {
        follower = createFollowedTransport({
          type,
          minVersion,
          link,
          discover: async () => (await discover(type, { minVersion })).endpointUrl,
          watch: (signal) => watch(type, signal),
        });
        followed.set(key, follower);
      }
      return createServiceClient(plugin.service, follower.transport);
    },
    close() {
      closed ??= close();
      return closed;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
  return client;
}

function typeOf({ name, servicePath, provides }: PluginDefinition): string {
  return provides.find(({ path }) => path === servicePath)?.type ?? name;
}

function tooLate(type: string, timeoutMs: number): ConnectError {
  return new ConnectError(`the host did not take ${type} within ${timeoutMs} ms`, Code.DeadlineExceeded);
}
