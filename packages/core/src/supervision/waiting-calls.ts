import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { within } from "../internal/bounded.ts";

/** Calls that wait for a process: a bounded number, each for a bounded time. */
export interface WaitingCalls<Process> {
  readonly size: number;
  /**
   * Resolves with the process that `admit` brings.
   * @throws {ConnectError} what `refuse` brings; `unavailable` when too many wait or it takes too long;
   * `deadline_exceeded` when the call's own time-out comes first; `canceled`, or the reason, when its signal aborts.
   */
  wait(call: WaitingCall): Promise<Process>;
  /** Lets all go on, the longest waiting first. */
  admit(process: Process): void;
  /** Ends the waiting of all. */
  refuse(reason: ConnectError): void;
}

export interface WaitingCall {
  /** The longest that this call may wait, in ms. */
  readonly waitMs: number;
  /** What is left of the call's own time-out, in ms. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface WaitingCallsOptions {
  readonly maxWaiting: number;
  readonly clock: Clock;
  /** The error of a call that is not to wait, or not any longer. */
  down(detail: string): ConnectError;
}

interface Waiter<Process> {
  resolve(process: Process): void;
  reject(reason: ConnectError): void;
}

export function createWaitingCalls<Process>({ maxWaiting, clock, down }: WaitingCallsOptions): WaitingCalls<Process> {
  const waiters = new Set<Waiter<Process>>();

  const enter = (cut: AbortSignal): Promise<Process> =>
    new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      waiters.add(waiter);
      cut.addEventListener("abort", () => waiters.delete(waiter), { once: true });
    });

  const leaveAll = (): Waiter<Process>[] => {
    const all = [...waiters];
    waiters.clear();
    return all;
  };

  return {
    get size() {
      return waiters.size;
    },
    async wait({ waitMs, timeoutMs = Number.POSITIVE_INFINITY, signal }) {
      if (waiters.size >= maxWaiting) throw down(`${waiters.size} calls wait for it already`);
      const ms = Math.min(waitMs, timeoutMs);
      const tooLong = () =>
        timeoutMs <= waitMs
          ? new ConnectError("the operation timed out", Code.DeadlineExceeded)
          : down(`this call waited for ${Math.round(ms)} ms`);
      try {
        return await within(clock, ms, enter, tooLong, signal);
      } catch (reason) {
        throw ConnectError.from(reason, Code.Canceled);
      }
    },
    admit(process) {
      for (const { resolve } of leaveAll()) resolve(process);
    },
    refuse(reason) {
      for (const { reject } of leaveAll()) reject(reason);
    },
  };
}
