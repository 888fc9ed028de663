import type { PluginSet } from "../definition/plugin-set.ts";
import { takeLaunchPort } from "../worker/worker-port.ts";
import { parseLaunchEnvironment } from "./environment-schema.ts";
import { planHttpCarrier } from "./http-carrier.ts";
import { takeEnvironment } from "./launch-variables.ts";
import type { PluginServer } from "./plugin-server.ts";
import type { ServeOptions } from "./serve-options.ts";
import { startServer } from "./start-server.ts";
import { planWorkerCarrier } from "./worker-carrier.ts";

/**
 * Serves plugins, and the host APIs that extensions add, on one port: HTTP/1.1 and HTTP/2; Connect, gRPC and gRPC-Web.
 * Resolves when the server accepts calls. In a thread that `workerStrategy` launched it listens nowhere, unless `listen` says
 * so: it takes the calls of its launcher, and no HTTP requests.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {ConnectError} `failed_precondition` for a host
 * that listens beyond this machine without an admission policy, `invalid_argument` for names and metadata against the
 * rules of the protocol. {Error} of Node when it cannot listen.
 * @example
 * const server = await serve({ plugins: { kv }, impls: { kv: new MyKVStore() } });
 */
export async function serve<const Plugins extends PluginSet>(options: ServeOptions<Plugins>): Promise<PluginServer> {
  const environment = parseLaunchEnvironment(options.environment ?? takeEnvironment());
  const port = options.listen === undefined ? takeLaunchPort() : undefined;
  const carrier = port === undefined ? planHttpCarrier(options, environment) : planWorkerCarrier(port);
  return await startServer(options, environment, carrier);
}
