import type { Client } from "@connectrpc/connect";
import type { PluginSet } from "../definition/plugin-set.ts";
import { staticEndpoints } from "../discovery/static-endpoints.ts";
import { createFailoverConnections, type PluginConnections } from "./failover-connections.ts";
import { withMethodTimeouts } from "./method-timeouts.ts";
import { type ConnectionOpener, createConnectionOpener, type PluginConnection } from "./open-connection.ts";
import {
  type PluginClientOptions,
  type ResolvedClientOptions,
  resolvePluginClientOptions,
} from "./plugin-client-options.ts";
import { createServiceClient } from "./service-client.ts";
import { createSharedConnection } from "./shared-connection.ts";

export type { PluginConnection } from "./open-connection.ts";
export type { PluginClientOptions } from "./plugin-client-options.ts";

export interface PluginClient<Plugins extends PluginSet> extends AsyncDisposable {
  /**
   * Connects and shakes hands, once: concurrent calls share the attempt, and after a success the result stays, with
   * several endpoints until that one cannot be reached. After a failure the next call tries again.
   * @throws {ConnectError} `unavailable` when the server cannot be reached, `deadline_exceeded` when it does not answer
   * in time, `failed_precondition` for versions that do not fit, `not_found` for a plugin that the server lacks,
   * `unimplemented` or `unknown` when this is no plugin server, `canceled` when the client is closed; else the reason of
   * `signal`, which ends the wait of this caller only. Several endpoints fail when each of them does.
   */
  connect(options?: { readonly signal?: AbortSignal | undefined }): Promise<PluginConnection>;
  /**
   * A typed client for one plugin. Connects if that has not happened yet. Leaving a response stream early ends its call.
   * With several endpoints it works on whichever the client uses at the time of a call.
   * @throws {TypeError} for a name outside `plugins`. {ConnectError} as `connect`.
   */
  dispense<Name extends keyof Plugins & string>(name: Name): Promise<Client<Plugins[Name]["service"]>>;
  /** Ends all connections; calls in flight fail with `canceled`. Idempotent. */
  close(): Promise<void>;
}

/**
 * A client of one plugin server, or of several of which it uses one at a time. Does no I/O until the first `dispense` or
 * `connect`.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {ConnectError} `invalid_argument` for names and
 * metadata against the rules of the protocol.
 * @example
 * await using client = createPluginClient({ endpoint: "http://localhost:8080", plugins: { kv } });
 * const store = await client.dispense("kv");
 * await store.put({ key: "mykey", value: new TextEncoder().encode("hello") });
 */
export function createPluginClient<const Plugins extends PluginSet>(
  options: PluginClientOptions<Plugins>,
): PluginClient<Plugins> {
  const resolved = resolvePluginClientOptions(options);
  const { plugins } = options;
  const opener = createConnectionOpener(resolved);
  const connections = createConnections(resolved, opener);
  let closing: Promise<void> | undefined;

  const client: PluginClient<Plugins> = {
    async connect({ signal } = {}) {
      signal?.throwIfAborted();
      const attempt = connections.get();
      return (await (signal ? untilAborted(attempt, signal) : attempt)).connection;
    },
    async dispense(name) {
      const plugin = Object.hasOwn(plugins, name) ? plugins[name] : undefined;
      if (plugin === undefined) {
        throw new TypeError(`plugins has no "${name}"; it has ${Object.keys(plugins).join(", ")}`);
      }
      return createServiceClient(plugin.service, withMethodTimeouts(plugin, await connections.transport()));
    },
    close() {
      closing ??= connections.close().finally(() => opener.settled());
      return closing;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
  return client;
}

/** @throws {TypeError} {RangeError} naming the option. */
function createConnections(options: ResolvedClientOptions, opener: ConnectionOpener): PluginConnections {
  const { endpoint, appProtocolVersions } = options;
  if (isList(endpoint)) {
    const discovery = staticEndpoints(endpoint);
    for (const target of endpoint) opener.check(target);
    return createFailoverConnections(options, discovery, opener);
  }
  if (typeof endpoint === "object" && "discover" in endpoint) {
    return createFailoverConnections(options, endpoint, opener);
  }
  opener.check(endpoint);
  const connection = createSharedConnection((signal) => opener.open(endpoint, appProtocolVersions, signal));
  return {
    get: () => connection.get(),
    transport: async () => (await connection.get()).calls.transport,
    close: () => connection.close(),
  };
}

function isList(endpoint: ResolvedClientOptions["endpoint"]): endpoint is readonly string[] {
  return Array.isArray(endpoint);
}

/** Lets one caller stop waiting for an attempt that others share. */
function untilAborted<T>(attempt: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([attempt, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}
