import type { Clock } from "@cpg/resilience";
import { Call } from "./call.ts";
import type { CallSurroundings } from "./call-context.ts";
import { createDeadlines, type Deadlines } from "./deadlines.ts";

/** The calls of one server, and what they have in common. */
export interface OpenCalls extends CallSurroundings {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** How many handlers have not ended. */
  readonly size: number;
  handlerBegan(): void;
  handlerEnded(): void;
  /** Those that are not settled, from the oldest. */
  unsettled(): Call[];
  /** Resolves as soon as no handler is left. */
  empty(): Promise<void>;
}

/** Keeps no list of its own: the calls that can still be ended are those whose deadlines have not. */
export function createOpenCalls(clock: Clock, contextValues: CallSurroundings["contextValues"]): OpenCalls {
  const deadlines = createDeadlines(clock);
  let size = 0;
  let idle: PromiseWithResolvers<void> | undefined;
  return {
    clock,
    deadlines,
    contextValues,
    get size() {
      return size;
    },
    handlerBegan() {
      size++;
    },
    handlerEnded() {
      size--;
      if (size === 0 && idle !== undefined) {
        idle.resolve();
        idle = undefined;
      }
    },
    unsettled: () => deadlines.list().filter((timed) => timed instanceof Call),
    empty() {
      if (size === 0) return Promise.resolve();
      idle ??= Promise.withResolvers();
      return idle.promise;
    },
  };
}
