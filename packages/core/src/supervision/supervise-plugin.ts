import { checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import { launchIncarnation } from "./incarnation.ts";
import { createSupervisedPlugin, type SupervisedPlugin } from "./supervised-plugin.ts";
import { resolveSupervisionOptions, type SupervisePluginOptions } from "./supervision-options.ts";

/**
 * Launches a plugin and keeps it running: one that ends, cannot be reached or whose event loop is blocked is launched
 * again, with delays that grow, until it ends too often. Its clients stay good.
 *
 * The states are those of `transition` in supervision-state.ts; the first is "starting".
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example
 * await using plugin = supervisePlugin({ strategy: nodeStrategy({ entry: "./kv-plugin.js" }), plugins: { kv } });
 * const store = await plugin.dispense("kv");
 */
export function supervisePlugin<const Plugins extends PluginSet>(
  options: SupervisePluginOptions<Plugins>,
): SupervisedPlugin<Plugins> {
  const resolved = resolveSupervisionOptions(options);
  checkPluginSet(options.plugins);
  const name = options.name ?? Object.keys(options.plugins)[0] ?? "";
  return createSupervisedPlugin<Plugins>({
    ...resolved,
    name,
    plugins: options.plugins,
    launch(signal) {
      const handshakeSeen = options.handshakeSeen?.();
      return launchIncarnation<Plugins>({ ...options, name, clock: resolved.clock, signal, handshakeSeen });
    },
  });
}
