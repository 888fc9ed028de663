import type { Clock } from "@cpg/resilience";
import type { Call } from "./call.ts";
import type { CallSurroundings } from "./call-context.ts";
import { createDeadlines, type Deadlines } from "./deadlines.ts";

/** The calls of one server whose handlers have not ended, and what they have in common. */
export interface OpenCalls extends CallSurroundings {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** How many there are. */
  readonly size: number;
  add(call: Call): void;
  /** Once for each that was added. */
  delete(call: Call): void;
  /** Those of now, from the oldest. */
  list(): Call[];
  /** Resolves as soon as there are none. */
  empty(): Promise<void>;
}

/** A list whose links are the calls themselves: a set costs a call that ends at once more than its message checks. */
export function createOpenCalls(clock: Clock, contextValues: CallSurroundings["contextValues"]): OpenCalls {
  let size = 0;
  let newest: Call | undefined;
  let idle: PromiseWithResolvers<void> | undefined;
  return {
    clock,
    deadlines: createDeadlines(clock),
    contextValues,
    get size() {
      return size;
    },
    add(call) {
      size++;
      call.olderOpen = newest;
      if (newest !== undefined) newest.newerOpen = call;
      newest = call;
    },
    delete(call) {
      size--;
      const { olderOpen, newerOpen } = call;
      if (olderOpen !== undefined) olderOpen.newerOpen = newerOpen;
      if (newerOpen === undefined) newest = olderOpen;
      else newerOpen.olderOpen = olderOpen;
      call.olderOpen = undefined;
      call.newerOpen = undefined;
      if (size === 0) {
        idle?.resolve();
        idle = undefined;
      }
    },
    list() {
      const calls: Call[] = [];
      for (let call = newest; call !== undefined; call = call.olderOpen) calls.push(call);
      return calls.reverse();
    },
    empty() {
      if (size === 0) return Promise.resolve();
      idle ??= Promise.withResolvers();
      return idle.promise;
    },
  };
}
