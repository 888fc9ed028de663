import type { PluginSet } from "../definition/plugin-set.ts";
import { launchFailed } from "../launch/launch-error.ts";
import type { LaunchedPlugin } from "../launch/launch-plugin.ts";
import type { Introduce } from "./supervision-options.ts";

/**
 * Introduces a plugin that was launched, as long as it runs.
 * @throws {ConnectError} stage "introduce": why the introduction failed, or how the plugin ended; the reason of `signal`.
 */
export async function introducePlugin<Plugins extends PluginSet>(
  plugin: LaunchedPlugin<Plugins>,
  introduce: Introduce<Plugins>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const cut = new AbortController();
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  givenUp.catch(() => {}); // may come after the introduction
  const onAbort = () => {
    cut.abort(signal.reason);
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  void plugin.exited.then((exit) => {
    const error = launchFailed({ plugin: plugin.name, stage: "introduce", running: plugin, exit });
    reject(error);
    cut.abort(error);
  });
  try {
    const introduced = (async () => introduce(plugin, { signal: cut.signal }))();
    introduced.catch(() => {}); // may lose the race
    await Promise.race([givenUp, introduced]);
  } catch (reason) {
    if (cut.signal.aborted) throw cut.signal.reason;
    throw launchFailed({ plugin: plugin.name, stage: "introduce", running: plugin, reason });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
