/** How full a bulkhead is. Who waits, and in which order, is known to the shell alone. */
export interface BulkheadState {
  /** Calls in flight. */
  readonly running: number;
  /** Calls in the queue. */
  readonly waiting: number;
}

export interface BulkheadLimits {
  readonly maxConcurrent: number;
  readonly maxQueue: number;
}

/** What is to be done with a call that arrives. */
export type Arrival = "run" | "wait" | "reject";

export const emptyBulkhead: BulkheadState = { running: 0, waiting: 0 };

/**
 * A call arrives. Pure.
 *
 * | when | next state | effect |
 * |---|---|---|
 * | fewer than `maxConcurrent` run | one more runs | run |
 * | else, fewer than `maxQueue` wait | one more waits | wait |
 * | else | same | reject |
 *
 * As `release` hands slots on, nobody waits while there is a free one, so nobody who arrives overtakes.
 */
export function arrive(
  state: BulkheadState,
  { maxConcurrent, maxQueue }: BulkheadLimits,
): { readonly state: BulkheadState; readonly arrival: Arrival } {
  const { running, waiting } = state;
  if (running < maxConcurrent) return { state: { running: running + 1, waiting }, arrival: "run" };
  if (waiting < maxQueue) return { state: { running, waiting: waiting + 1 }, arrival: "wait" };
  return { state, arrival: "reject" };
}

/**
 * A call in flight ended. Pure.
 *
 * | when | next state | effect |
 * |---|---|---|
 * | somebody waits | one fewer waits | the slot goes to who has waited longest |
 * | nobody waits | one fewer runs | the slot is free |
 */
export function release(state: BulkheadState): { readonly state: BulkheadState; readonly handOver: boolean } {
  const { running, waiting } = state;
  if (waiting > 0) return { state: { running, waiting: waiting - 1 }, handOver: true };
  return { state: { running: running - 1, waiting }, handOver: false };
}

/** A call left the queue, aborted or out of time: one fewer waits. Pure. */
export function leaveQueue({ running, waiting }: BulkheadState): BulkheadState {
  return { running, waiting: waiting - 1 };
}
