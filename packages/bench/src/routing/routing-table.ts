import type { Goal, Table } from "../table.ts";
import { nginx } from "./proxy-program.ts";
import { measuresOf, routingMeasures } from "./routing-measures.ts";
import { direct, proxies, router, routingVariants } from "./routing-variants.ts";

const besideNginx: readonly Goal[] = proxies.includes(nginx)
  ? [{ measure: routingMeasures.lanes, of: router, to: nginx.name, ratio: "speed", bound: { atLeast: 0.8 } }]
  : [];

/** What it costs that a call goes through the host. */
export const routingTable: Table = {
  name: "routing",
  title: "what a call costs that a host passes on",
  measures: measuresOf(direct),
  variants: routingVariants,
  goals: [
    { measure: routingMeasures.lanes, of: router, to: direct, ratio: "speed", bound: { atLeast: 0.4 } },
    ...besideNginx,
    { measure: routingMeasures.median, of: router, to: direct, ratio: "cost", bound: { atMost: 2.6 } },
    { measure: routingMeasures.list, of: router, to: direct, ratio: "cost", bound: { atMost: 1.3 } },
  ],
};
