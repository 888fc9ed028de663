import type { Transport } from "@connectrpc/connect";
import type { EndpointDiscovery } from "../discovery/endpoint-discovery.ts";
import { createEndpointRotation } from "../discovery/endpoint-rotation.ts";
import { tryEndpoints } from "../discovery/try-endpoints.ts";
import { createFailoverTransport } from "./failover-transport.ts";
import type { Connected, ConnectionOpener } from "./open-connection.ts";
import type { ResolvedClientOptions } from "./plugin-client-options.ts";
import { createRetirableCalls, type RetirableCalls } from "./retirable-calls.ts";
import { createSharedConnection } from "./shared-connection.ts";

/** How the calls of a client travel. */
export interface PluginConnections {
  get(): Promise<Connected>;
  /** A transport for calls. Connects if that has not happened yet. */
  transport(): Promise<Transport>;
  close(): Promise<void>;
}

interface Retirable extends Connected {
  readonly calls: RetirableCalls;
}

/** Connections out of use that may still have calls; beyond that the oldest is closed. */
const maxRetired = 16;

/** One endpoint of several at a time. */
export function createFailoverConnections(
  options: ResolvedClientOptions,
  discovery: EndpointDiscovery,
  opener: ConnectionOpener,
): PluginConnections {
  const { handshakeTimeoutMs, clock, random } = options;
  const rotation = createEndpointRotation(clock, random);
  const retired = new Set<RetirableCalls>();
  const closed = new AbortController();
  // What the application has adapted to stays.
  let versions = options.appProtocolVersions;
  let known: readonly string[] = [];
  let following = false;
  let doubted = false;
  // The watch knows; asking would only hold up calls. But not twice in a row what did not help.
  const newest: Pick<EndpointDiscovery, "discover"> = {
    discover: async (asked) => (following && !doubted && known.length > 0 ? known : await discovery.discover(asked)),
  };

  const connections = createSharedConnection<Retirable>(async (signal) => {
    follow();
    const choice = { discovery: newest, rotation, known, discoverMs: handshakeTimeoutMs, clock, signal };
    const attempt = tryEndpoints(choice, (endpoint) => opener.open(endpoint, versions, signal));
    const { connection, calls } = await attempt.catch((reason) => {
      doubted = true;
      throw reason;
    });
    doubted = false;
    versions = [connection.appProtocolVersion];
    return { connection, calls: createRetirableCalls(calls) };
  });

  const leave = (connected: Retirable): void => {
    connections.drop(connected);
    const { calls } = connected;
    retired.add(calls);
    void calls.closed.then(() => retired.delete(calls));
    calls.retire();
    const [oldest] = retired;
    if (retired.size > maxRetired) oldest?.close().catch(() => {}); // nobody waits for it
  };

  /** Leaves an endpoint that discovery no longer names, as long as it names others. */
  const watch = async (): Promise<void> => {
    for await (const endpoints of discovery.watch({ signal: closed.signal })) {
      if (endpoints.length === 0) continue;
      known = endpoints;
      const { current } = connections;
      if (current !== undefined && !endpoints.includes(current.connection.endpoint)) leave(current);
    }
  };
  const follow = (): void => {
    if (following) return;
    following = true;
    watch().catch(() => {
      following = false; // begun anew with the next attempt to connect
    });
  };

  const transport = createFailoverTransport({
    current: () => connections.current,
    connected: connections.get,
    onUnreached(connected) {
      rotation.failed(connected.connection.endpoint);
      if (connections.current === connected) leave(connected);
    },
    clock,
  });
  return {
    get: () => connections.get(),
    async transport() {
      await connections.get();
      return transport;
    },
    async close() {
      closed.abort(new Error("the plugin client is closed"));
      await Promise.all([connections.close(), ...Array.from(retired, (calls) => calls.close())]);
    },
  };
}
