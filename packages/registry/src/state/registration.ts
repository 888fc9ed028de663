import type { ProviderHealth } from "../health/provider-health.ts";
import type { Upstream } from "../router/upstream.ts";

/** A running plugin instance that has registered services, as the registry knows it. */
export interface Provider {
  /** Its runtime id. */
  readonly id: string;
  readonly selfId: string;
  /** Same key, same instance: when it registers under a new runtime id, that supersedes the old one. */
  readonly instance: string;
  /** A second name of the instance: under which name, from which address and at which URL it registered first. */
  readonly place?: string | undefined;
  readonly health: ProviderHealth;
  /** It finishes the calls it has and gets no new ones. */
  readonly draining: boolean;
  /** It gets no calls yet, and watchers do not see it. */
  readonly standby: boolean;
}

/** One service of one provider. A provider has at most one registration of a type. */
export interface Registration {
  readonly id: string;
  readonly providerId: string;
  /** Service type, such as "logger". */
  readonly type: string;
  /** Semantic version without build metadata. */
  readonly version: string;
  /** Starts and ends with "/". */
  readonly endpointPath: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** 0 to 100: share of calls under the weighted strategy. Default 100. */
  readonly weight: number;
  /** It ends unless it is made again within this time. Undefined: it has no end of its own. */
  readonly leaseMs: number | undefined;
  /** Where the router sends its calls. Undefined: it did not say where it listens, so it gets none. */
  readonly upstream: Upstream | undefined;
}
