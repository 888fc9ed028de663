import { fileURLToPath } from "node:url";
import { launchPlugin, nodeStrategy } from "@cpg/core";
import { echo } from "../support/started-server.ts";
import { reportHoldings } from "./holdings.ts";

const entry = fileURLToPath(new URL("./echo-plugin.ts", import.meta.url));

await reportHoldings(50, async () => {
  const plugin = await launchPlugin({ strategy: nodeStrategy({ entry }), plugins: { echo } });
  await (await plugin.dispense("echo")).unary({ text: "x" });
  await plugin.stop();
});
