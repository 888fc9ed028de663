import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { checkImplementations, checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import { within } from "../internal/bounded.ts";
import { ENV } from "../protocol/constants.ts";
import { parseLaunchEnvironment } from "../server/environment-schema.ts";
import { planMemoryCarrier } from "../server/memory-carrier.ts";
import type { PluginServer } from "../server/plugin-server.ts";
import type { ServeOptions } from "../server/serve-options.ts";
import { startServer } from "../server/start-server.ts";
import { launchFailed } from "./launch-error.ts";
import type { LaunchRequest, LaunchStrategy, RunningPlugin } from "./launch-strategy.ts";
import { followServer } from "./served-plugin.ts";

export interface MemoryStrategyOptions<Plugins extends PluginSet>
  extends Pick<
    ServeOptions<Plugins>,
    | "plugins"
    | "impls"
    | "selfId"
    | "selfVersion"
    | "magicCookie"
    | "appProtocolVersions"
    | "serverMetadata"
    | "interceptors"
    | "pluginInterceptors"
    | "control"
    | "link"
    | "maxMessageBytes"
    | "maxResponseBytes"
    | "onError"
  > {
  /**
   * Hands messages over as they are, checked but not copied: for code that is trusted not to change a message that it has
   * sent or received. Default false.
   */
  readonly byReference?: boolean | undefined;
  /**
   * Called for each launch when the plugin accepts calls; the launch waits for it. What it throws fails the launch.
   * Default: nothing is to be done.
   */
  readonly onStart?: ((server: PluginServer) => void | Promise<void>) | undefined;
}

/**
 * Runs a plugin as an object of the host's own process, without a socket and without serialising: for tests, and for code
 * that is trusted. Calls have the semantics of the wire, see `createMemoryServer`; what the plugin does to memory, event
 * loop and process, it does to the host's.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example launchPlugin({ strategy: memoryStrategy({ plugins: { kv }, impls: { kv: new MyKVStore() } }), plugins: { kv } })
 */
export function memoryStrategy<const Plugins extends PluginSet>(
  options: MemoryStrategyOptions<Plugins>,
): LaunchStrategy {
  checkPluginSet(options.plugins);
  checkImplementations(options.plugins, options.impls);
  return { kind: "memory", launch: (request) => launch(options, request) };
}

const tokenBytes = 32; // 256 bits

async function launch<Plugins extends PluginSet>(
  options: MemoryStrategyOptions<Plugins>,
  request: LaunchRequest,
): Promise<RunningPlugin> {
  const { plugin, readyTimeoutMs, hostUrl, clock, signal } = request;
  const { byReference = false, onStart } = options;
  if (!(readyTimeoutMs > 0)) throw new RangeError(`readyTimeoutMs must be greater than 0, got ${readyTimeoutMs}`);
  signal?.throwIfAborted();
  const controlToken = randomBytes(tokenBytes).toString("base64url");
  const environment = parseLaunchEnvironment({ [ENV.controlToken]: controlToken, [ENV.hostUrl]: hostUrl });
  const carrier = planMemoryCarrier({ name: plugin, byReference });
  const server = await startServer({ ...options, clock, handleSignals: false }, environment, carrier);
  try {
    await within(
      clock,
      readyTimeoutMs,
      async () => onStart?.(server),
      () => new ConnectError(`onStart did not finish within ${readyTimeoutMs} ms`, Code.DeadlineExceeded),
      signal,
    );
  } catch (reason) {
    await server.close({ graceMs: 0 });
    signal?.throwIfAborted();
    throw launchFailed({ plugin, stage: "ready", reason });
  }
  const { endpoint } = server;
  return {
    endpoint,
    direct: carrier.direct,
    controlToken,
    readiness: "started",
    stderrTail: () => [],
    ...followServer(server, clock),
  };
}
