import type { LaunchStrategy } from "../launch/launch-strategy.ts";
import { startWorker } from "./start-worker.ts";
import { resolveWorkerOptions, type WorkerStrategyOptions } from "./worker-options.ts";

/**
 * Runs a plugin in a thread of the host's process: the same file that `nodeStrategy` would run. `serve` finds the port to
 * the host and listens nowhere; calls are serialised and travel through that port, with the semantics of the wire.
 *
 * A crash, an exit, a loop without end and a heap that is too large end the thread, not the host. It is no boundary against
 * malice: a thread shares the memory, files and rights of the host's process, and native code or a fatal error of Node can
 * end that. The thread gets its own copy of the environment, of the host's only what `inheritEnv` lists; its output becomes
 * log records, the error that ends it among them. What it has written but Node has not passed on when it is terminated is
 * lost. A thread that runs keeps the host alive, as a child process does.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example launchPlugin({ strategy: workerStrategy({ entry: "./kv-plugin.js" }), plugins: { kv } })
 */
export function workerStrategy(options: WorkerStrategyOptions): LaunchStrategy {
  const resolved = resolveWorkerOptions(options);
  return { kind: "worker", launch: (request) => startWorker(resolved, request) };
}
