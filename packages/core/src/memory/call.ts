import { Code, type ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import type { CallContext } from "./call-context.ts";
import { abortedBy, callerLeft, deadlineExceeded } from "./call-ends.ts";
import type { Deadlines } from "./deadlines.ts";

/** The calls of one server whose handlers have not ended. */
export interface OpenCalls {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  add(call: Call): void;
  delete(call: Call): void;
}

/** What bounds a call from its caller's side. */
export interface CallBounds {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  /** The transport that it came through. */
  readonly owner: object;
}

/**
 * One call, as it stands between its caller and its handler: the first end counts, for both, and leaves no listener and no
 * timer. A class, as each call makes one.
 *
 * | event                            | caller gets         | handler's signal aborts with |
 * |----------------------------------|---------------------|------------------------------|
 * | the handler ends (`settle`)      | its answer or error | the end of the call          |
 * | the caller's signal, or it leaves | its own reason     | `canceled`                   |
 * | the deadline                     | `deadline_exceeded` | `deadline_exceeded`          |
 * | the transport or server closes   | the closer's reason | the closer's reason          |
 */
export class Call {
  readonly owner: object;
  readonly #calls: OpenCalls;
  readonly #context: CallContext;
  readonly #onCut: (error: ConnectError, reason: ConnectError) => void;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #stopDeadline: (() => void) | undefined;
  #settled = false;

  /** @param onCut - hears of an end that did not come from the handler, once, possibly before this returns. */
  constructor(
    calls: OpenCalls,
    context: CallContext,
    { signal, timeoutMs, owner }: CallBounds,
    onCut: (error: ConnectError, reason: ConnectError) => void,
  ) {
    this.owner = owner;
    this.#calls = calls;
    this.#context = context;
    this.#onCut = onCut;
    this.#signal = signal;
    calls.add(this);
    if (signal !== undefined) {
      this.#onAbort = () => {
        const error = abortedBy(signal);
        this.cut(error, error.code === Code.DeadlineExceeded ? error : callerLeft);
      };
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    if (timeoutMs !== undefined) {
      this.#stopDeadline = calls.deadlines.start(timeoutMs, () => {
        const error = deadlineExceeded();
        this.cut(error, error);
      });
    }
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The handler has answered. @returns whether that settles the call. */
  settle(reason: unknown): boolean {
    if (this.#settled) return false;
    this.#end(reason);
    return true;
  }

  /** Ends the call from outside its handler. */
  cut(error: ConnectError, reason: ConnectError): void {
    if (this.#settled) return;
    this.#end(reason);
    this.#onCut(error, reason);
  }

  /** Nothing of the handler runs any more. */
  handlerEnded(): void {
    this.#calls.delete(this);
  }

  #end(reason: unknown): void {
    this.#settled = true;
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#stopDeadline?.();
    this.#context.end(reason);
  }
}
