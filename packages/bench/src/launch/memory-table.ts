import type { Table } from "../table.ts";
import { directCall, directVariant, serialization, serializationVariant } from "./direct-variants.ts";
import { measureNames, measuresHere } from "./echo-measures.ts";
import {
  memoryByReference,
  memoryIsolated,
  memoryVariants,
  routerTransport,
  routerTransportVariant,
} from "./memory-variants.ts";
import { moleculerLocal, moleculerLocalVariant } from "./moleculer-variants.ts";

const { small, list } = measureNames;

/** What it costs to call a plugin that lives in the host's own process. */
export const memoryTable: Table = {
  name: "memory",
  title: "what a call costs that stays in this process",
  measures: measuresHere(directCall),
  variants: [directVariant, serializationVariant, ...memoryVariants, routerTransportVariant, moleculerLocalVariant],
  goals: [
    { measure: small, of: memoryIsolated, to: routerTransport, ratio: "speed", bound: { atLeast: 30 } },
    { measure: small, of: memoryIsolated, to: serialization, ratio: "cost", bound: { atMost: 0.5 } },
    { measure: small, of: memoryByReference, to: directCall, ratio: "cost", bound: { atMost: 8 } },
    { measure: small, of: memoryByReference, to: moleculerLocal, ratio: "cost", bound: { atMost: 1 } },
    { measure: list, of: memoryIsolated, to: directCall, ratio: "cost", bound: { atMost: 10 } },
  ],
};
