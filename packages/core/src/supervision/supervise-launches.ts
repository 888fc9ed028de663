import type { PluginSet } from "../definition/plugin-set.ts";
import type { Incarnation } from "./incarnation.ts";
import { createSupervisedPlugin, type SupervisedPlugin } from "./supervised-plugin.ts";
import { resolveSupervisionOptions, type SupervisionChoices } from "./supervision-options.ts";

/** What runs, whatever it is. `kill` rejects when it cannot be ended; `exited` never does. */
export type SupervisedProgram = Incarnation["plugin"];

export interface SuperviseLaunchesOptions
  extends Pick<SupervisionChoices, "restart" | "probe" | "onEvent" | "clock" | "random"> {
  /** Of the program, in errors and events. */
  readonly name: string;
  /**
   * Launches the program, and makes it known. Gives up when `signal` aborts. If it fails, nothing of it is left; it is
   * tried again unless the error is `failed_precondition`, `invalid_argument`, `not_found` or no ConnectError.
   */
  launch(signal: AbortSignal): Promise<SupervisedProgram>;
}

/**
 * As `supervisePlugin`, for programs that are launched, or found, in another way than by `launchPlugin`. Nothing can be
 * dispensed from them.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 */
export function superviseLaunches(options: SuperviseLaunchesOptions): SupervisedPlugin<PluginSet> {
  const clients: Incarnation["clients"] = new Map();
  return createSupervisedPlugin<PluginSet>({
    ...resolveSupervisionOptions(options),
    name: options.name,
    plugins: {},
    launch: async (signal) => ({ plugin: await options.launch(signal), clients }),
  });
}
