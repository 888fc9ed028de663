import type { Clock } from "@cpg/resilience";
import type { PluginSet } from "../definition/plugin-set.ts";
import type { HealthReporter } from "../health/health-reporter.ts";
import { createHostLink, type HostLink } from "../host-link/host-link.ts";
import type { LaunchEnvironment } from "./environment-schema.ts";
import type { ServeOptions } from "./serve-options.ts";

export interface ServerLinkParts<Plugins extends PluginSet> {
  readonly options: ServeOptions<Plugins>;
  readonly environment: LaunchEnvironment;
  readonly self: { readonly selfId: string; readonly selfVersion: string };
  readonly health: HealthReporter;
  readonly clock: Clock;
  /** Where this server listens; empty while it does not. */
  ownUrl(): string;
  /** HTTP versions that are spoken there. */
  readonly httpVersions: string | undefined;
  baseUrl(): string;
}

/** The link of a server to its own host; a server with extensions is a host itself and has one only if it says so. */
export function createServerLink<Plugins extends PluginSet>(parts: ServerLinkParts<Plugins>): HostLink | undefined {
  const { options, environment, self, health, clock, baseUrl, ownUrl, httpVersions = "" } = parts;
  const { link, extensions = [] } = options;
  if (link === false || (link === undefined && extensions.length > 0)) return undefined;
  const url = () => link?.baseUrl ?? baseUrl();
  return createHostLink({
    ...self,
    hostUrl: link?.hostUrl ?? environment.hostUrl,
    plugins: options.plugins,
    declares: options.declares,
    baseUrl: url,
    // What stands before this server at another URL may speak less.
    httpVersions: () => (url() === ownUrl() ? httpVersions : ""),
    health,
    magicCookie: options.magicCookie,
    appProtocolVersions: options.appProtocolVersions,
    tls: link?.tls,
    interceptors: link?.interceptors,
    heartbeatMs: link?.heartbeatMs,
    backoff: link?.backoff,
    onEvent: link?.onEvent,
    clock,
  });
}
