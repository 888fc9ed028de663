/** How to ask a discovery of endpoints. */
export interface DiscoverEndpointsOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Where servers of one kind are to be found: hosts, or plugins of one name. Endpoints are texts as `parseEndpoint` reads
 * them, at most 100, in the order in which they should be tried.
 */
export interface EndpointDiscovery {
  /**
   * The endpoints as they are now. Empty: there are none.
   * @throws {ConnectError} `unavailable` when nobody can tell. The reason of `signal`.
   */
  discover(options?: DiscoverEndpointsOptions): Promise<readonly string[]>;
  /**
   * The endpoints, and then again whenever they have changed; a slow reader gets the newest. While nobody can tell, what
   * was told last stays. Ends, if they can never change. Leaving the loop, or `signal`, which throws its reason, ends
   * the watch.
   */
  watch(options?: DiscoverEndpointsOptions): AsyncIterable<readonly string[]>;
}

/** Most endpoints that are used of those that a discovery names. */
export const MAX_ENDPOINTS = 100;
