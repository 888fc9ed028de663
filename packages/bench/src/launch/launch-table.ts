import type { Goal, Table } from "../table.ts";
import { carriages } from "./carriage.ts";
import { connectNodeName, connectNodeVariants } from "./connect-node-variants.ts";
import { directCall, directVariant, serialization, serializationVariant } from "./direct-variants.ts";
import { echoMeasures, measureNames } from "./echo-measures.ts";
import { grpcJsVariants } from "./grpc-js-variants.ts";
import {
  memoryByReference,
  memoryIsolated,
  memoryVariants,
  routerTransport,
  routerTransportVariant,
} from "./memory-variants.ts";
import { moleculerLocal, moleculerLocalVariant, moleculerTcpVariant } from "./moleculer-variants.ts";
import { processName, processVariants } from "./process-variants.ts";

const goals: readonly Goal[] = [
  {
    measure: measureNames.smallHere,
    of: memoryIsolated,
    to: routerTransport,
    ratio: "speed",
    bound: { atLeast: 30 },
  },
  { measure: measureNames.smallHere, of: memoryIsolated, to: serialization, ratio: "cost", bound: { atMost: 0.5 } },
  { measure: measureNames.smallHere, of: memoryByReference, to: directCall, ratio: "cost", bound: { atMost: 8 } },
  { measure: measureNames.smallHere, of: memoryByReference, to: moleculerLocal, ratio: "cost", bound: { atMost: 1 } },
  { measure: measureNames.listHere, of: memoryIsolated, to: directCall, ratio: "cost", bound: { atMost: 10 } },
  ...carriages.map(
    (carriage): Goal => ({
      measure: measureNames.smallLanes,
      of: processName(carriage),
      to: connectNodeName(carriage),
      ratio: "speed",
      bound: { atLeast: 0.9 },
    }),
  ),
];

/** What it costs to call a plugin, wherever it runs. */
export const launchTable: Table = {
  name: "launch",
  title: "what a call costs, wherever the plugin runs",
  measures: echoMeasures(directCall, connectNodeName({ socket: "tcp", httpVersion: "1.1" })),
  variants: [
    directVariant,
    serializationVariant,
    ...memoryVariants,
    routerTransportVariant,
    moleculerLocalVariant,
    ...processVariants,
    ...connectNodeVariants,
    ...grpcJsVariants,
    moleculerTcpVariant,
  ],
  goals,
};
