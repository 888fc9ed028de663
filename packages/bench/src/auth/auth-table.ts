import type { Table } from "../table.ts";
import { apiKeyOnConnection, authVariants, emptyChain, hmacVerification, tokenOnConnection } from "./auth-variants.ts";
import { chainMeasure } from "./guarded-chain.ts";
import { knownJwt, knownTokenVariants, lookupMeasure, mapLookup, stringAlone } from "./known-token.ts";

/** What it costs to know who calls. */
export const authTable: Table = {
  name: "auth",
  title: "what interceptors that authenticate add to a call",
  measures: [
    { name: chainMeasure, unit: "ns", clock: "cpu", base: hmacVerification, subtract: emptyChain },
    { name: lookupMeasure, unit: "ns", clock: "cpu", base: mapLookup, subtract: stringAlone },
  ],
  variants: [...authVariants, ...knownTokenVariants],
  goals: [
    ...[tokenOnConnection, apiKeyOnConnection].map((of) => ({
      measure: chainMeasure,
      of,
      to: hmacVerification,
      ratio: "cost" as const,
      bound: { atMost: 0.2 },
    })),
    { measure: lookupMeasure, of: knownJwt, to: mapLookup, ratio: "cost", bound: { atMost: 2 } },
  ],
};
