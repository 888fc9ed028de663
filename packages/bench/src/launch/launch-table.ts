import type { Goal, Table } from "../table.ts";
import { carriages } from "./carriage.ts";
import { connectNodeName, connectNodeVariants } from "./connect-node-variants.ts";
import { directVariant, serializationVariant } from "./direct-variants.ts";
import { measureNames, measuresEverywhere } from "./echo-measures.ts";
import { grpcJsVariants } from "./grpc-js-variants.ts";
import { processName, processVariants, workerVariant } from "./launched-variants.ts";
import { memoryVariants, routerTransportVariant } from "./memory-variants.ts";
import { moleculerLocalVariant, moleculerTcpVariant } from "./moleculer-variants.ts";

/** What it costs to call a plugin, wherever it runs. */
export const launchTable: Table = {
  name: "launch",
  title: "what a call costs, wherever the plugin runs",
  measures: measuresEverywhere(connectNodeName({ socket: "tcp", httpVersion: "1.1" })),
  variants: [
    directVariant,
    serializationVariant,
    ...memoryVariants,
    routerTransportVariant,
    moleculerLocalVariant,
    workerVariant,
    ...processVariants,
    ...connectNodeVariants,
    ...grpcJsVariants,
    moleculerTcpVariant,
  ],
  goals: carriages.map(
    (carriage): Goal => ({
      measure: measureNames.smallLanes,
      of: processName(carriage),
      to: connectNodeName(carriage),
      ratio: "speed",
      bound: { atLeast: 0.9 },
    }),
  ),
};
