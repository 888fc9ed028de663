import type { Clock } from "@cpg/resilience";
import type { EndpointDiscovery } from "../discovery/endpoint-discovery.ts";
import { createEndpointRotation } from "../discovery/endpoint-rotation.ts";
import { checkEndpoints, staticEndpoints } from "../discovery/static-endpoints.ts";
import { tryEndpoints } from "../discovery/try-endpoints.ts";
import { DEFAULT_HOST_URL } from "../protocol/constants.ts";
import { parseEndpoint } from "../wire/endpoint.ts";

/** One host, or several of which a plugin is linked to one at a time. */
export type HostEndpoints = string | readonly string[] | EndpointDiscovery;

/** Which host a link is about. */
export interface HostChoice {
  /** The host in use, or else the one tried last. */
  readonly url: string | undefined;
  /** Whether there may be others to go to. */
  readonly several: boolean;
  /** A managing host names itself. */
  take(url: string): void;
  /**
   * What `attempt` gives for the first host for which it succeeds.
   * @throws what `attempt` throws for a single host, else as `tryEndpoints`.
   */
  open<T>(attempt: (hostUrl: string) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Others come first for a while. */
  failed(url: string): void;
}

export interface HostChoiceOptions {
  readonly hostUrl?: HostEndpoints | undefined;
  /** Bound on discovery, in ms. */
  readonly attemptMs: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** `hostUrl` has been checked. */
export function createHostChoice({ hostUrl, attemptMs, clock, random }: HostChoiceOptions): HostChoice {
  if (hostUrl === undefined || typeof hostUrl === "string") return soleHost(hostUrl);
  const discovery = isList(hostUrl) ? staticEndpoints(hostUrl) : hostUrl;
  const rotation = createEndpointRotation(clock, random);
  let url = isList(hostUrl) ? hostUrl[0] : undefined;
  let known: readonly string[] = [];
  // What was found is worth keeping for times when discovery fails.
  const remembering: Pick<EndpointDiscovery, "discover"> = {
    async discover(asked) {
      const found = await discovery.discover(asked);
      if (found.length > 0) known = [...found];
      return found;
    },
  };
  return {
    get url() {
      return url;
    },
    several: true,
    take(given) {
      url = given;
    },
    open(attempt, signal) {
      const options = { discovery: remembering, rotation, known, discoverMs: attemptMs, clock, signal };
      return tryEndpoints(options, (endpoint) => {
        url = endpoint;
        return attempt(endpoint);
      });
    },
    failed: rotation.failed,
  };
}

function soleHost(configured: string | undefined): HostChoice {
  let url = configured;
  return {
    get url() {
      return url;
    },
    several: false,
    take(given) {
      url = given;
    },
    open: (attempt) => attempt(url ?? DEFAULT_HOST_URL),
    failed() {},
  };
}

/** @throws {TypeError} {RangeError} naming the option. */
export function checkHostEndpoints(option: string, hosts: HostEndpoints): void {
  if (typeof hosts === "string") checkUrl(option, hosts);
  else if (isList(hosts)) checkEndpoints(option, hosts);
}

function checkUrl(option: string, url: string): void {
  try {
    parseEndpoint(url);
  } catch (reason) {
    const rule = reason instanceof Error ? reason.message.replace(/^endpoint /, "") : "is malformed";
    throw new TypeError(`${option} ${rule}`, { cause: reason });
  }
}

function isList(hosts: HostEndpoints): hosts is readonly string[] {
  return Array.isArray(hosts);
}
