import type { HealthEvent } from "./health/health-event.ts";
import type { HealthOptions } from "./health/health-options.ts";
import type { AccessOptions } from "./policy/create-access-policy.ts";
import type { UpstreamOptions } from "./policy/create-upstream-policy.ts";
import type { ForwarderOptions } from "./router/forward/forwarder-options.ts";
import type { RoutedCallRecord } from "./router/routed-call-record.ts";
import type { RouterLimits } from "./router/router-options.ts";
import type { ForwarderLimits } from "./router/upstream-pool/upstream-limits.ts";
import type { SelectionOptions } from "./selection/selection.ts";
import type { StoreLimits } from "./state/create-registry-store.ts";
import type { RevisedChange } from "./state/registry-store.ts";
import type { WatchLimits } from "./watch/create-watch-hub.ts";

/** Bounds of a registry. */
export interface RegistryLimits extends StoreLimits, WatchLimits, RouterLimits {
  /** Of connections to providers. */
  readonly connections?: ForwarderLimits | undefined;
}

export interface RegistryOptions {
  /** Which provider gets a call, by service type. Default: each in its turn. */
  readonly selection?: SelectionOptions | undefined;
  /** Who may register, discover, watch and call what. Default: what a plugin declared; one that declares nothing, everything. */
  readonly access?: AccessOptions | undefined;
  /** Where the host may connect to reach providers. Default: where they registered from; from this machine, to this machine. */
  readonly upstreams?: UpstreamOptions | undefined;
  /** Authorities, certificate and key for providers at https URLs. */
  readonly upstreamTls?: ForwarderOptions["tls"];
  readonly health?: HealthOptions | undefined;
  readonly limits?: RegistryLimits | undefined;
  /** Hears of each routed call once it has ended, refused ones among them: for logs and metrics. */
  readonly onCall?: ((call: RoutedCallRecord) => unknown) | undefined;
  /** Hears what was decided about the health of providers. Default: protection against mass expiry is a process warning. */
  readonly onHealth?: ((event: HealthEvent) => unknown) | undefined;
  /** Hears of each change of the registry. */
  readonly onChange?: ((change: RevisedChange) => unknown) | undefined;
  /** Hears of errors that no caller gets to see, what the other hooks throw among them. What it throws is dropped. */
  readonly onError?: ((error: unknown) => unknown) | undefined;
  /** Source of jitter and of chance in selection, at least 0 and less than 1. Default: from node:crypto. */
  readonly random?: (() => number) | undefined;
}
