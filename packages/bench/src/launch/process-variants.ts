import { launchPlugin, nodeStrategy } from "@cpg/core";
import type { Variant } from "../table.ts";
import { type Carriage, carriages, describeCarriage } from "./carriage.ts";
import { itemCases } from "./echo-cases.ts";
import { echo } from "./echo-service.ts";

export const processName = (carriage: Carriage): string => `process, ${describeCarriage(carriage)}`;

/** A plugin of ours, launched by a host of ours, with the settings that both have if nobody sets any. */
export const processVariants: readonly Variant[] = carriages.map((carriage) => ({
  name: processName(carriage),
  async setup() {
    const plugin = await launchPlugin({
      strategy: nodeStrategy({
        entry: new URL("./plugin-main.ts", import.meta.url),
        nodeArgs: ["--disable-warning=ExperimentalWarning"],
        transport: carriage.socket,
      }),
      plugins: { echo },
      httpVersion: carriage.httpVersion,
      onLog: ({ line }) => console.error(line),
    });
    return {
      cases: itemCases(await plugin.dispense("echo"), "elsewhere"),
      close: async () => void (await plugin.stop()),
    };
  },
}));
