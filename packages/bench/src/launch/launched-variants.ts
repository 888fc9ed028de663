import { type LaunchStrategy, launchPlugin, nodeStrategy, workerStrategy } from "@cpg/core";
import type { Variant } from "../table.ts";
import { type Carriage, carriages, describeCarriage } from "./carriage.ts";
import { itemCases } from "./echo-cases.ts";
import { echo } from "./echo-service.ts";

export const processName = (carriage: Carriage): string => `process, ${describeCarriage(carriage)}`;

const entry = new URL("./plugin-main.ts", import.meta.url);

/** A plugin of ours in a thread of this process, launched by a host of ours. */
export const workerVariant: Variant = launchedVariant("worker thread", workerStrategy({ entry }));

/** The same plugin in a process of its own, with the settings that both sides have if nobody sets any. */
export const processVariants: readonly Variant[] = carriages.map((carriage) => {
  const nodeArgs = ["--disable-warning=ExperimentalWarning"];
  const strategy = nodeStrategy({ entry, nodeArgs, transport: carriage.socket });
  return launchedVariant(processName(carriage), strategy, carriage.httpVersion);
});

function launchedVariant(name: string, strategy: LaunchStrategy, httpVersion?: Carriage["httpVersion"]): Variant {
  return {
    name,
    async setup() {
      const plugin = await launchPlugin({
        strategy,
        plugins: { echo },
        httpVersion,
        onLog: ({ line }) => console.error(line),
      });
      return {
        cases: itemCases(await plugin.dispense("echo"), "elsewhere"),
        close: async () => void (await plugin.stop()),
      };
    },
  };
}
