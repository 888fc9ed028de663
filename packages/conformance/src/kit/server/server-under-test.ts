import type { Clock } from "@cpg/resilience";
import type { CallTarget } from "../wire/rpc-client.ts";

/** A running program, host or plugin, and the calls of one rule to it. */
export interface ServerUnderTest extends CallTarget {
  readonly clock: Clock;
}
