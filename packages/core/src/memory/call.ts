import { Code, type ConnectError } from "@connectrpc/connect";
import { CallContext } from "./call-context.ts";
import { abortedBy, callerLeft, deadlineExceeded } from "./call-ends.ts";
import { Timed } from "./deadlines.ts";
import type { MethodEntry } from "./method-entry.ts";
import type { OpenCalls } from "./open-calls.ts";

/** What ends a call besides what it knows itself: the interceptors of the client are around it. */
export interface CallBounds extends Timed {
  /** Ends the call when it ends itself. */
  adopt(call: Cuttable): void;
}

/** A call under way that can be ended from outside. */
export interface Cuttable {
  readonly settled: boolean;
  /** Its caller gets `error`, its handler hears `reason`. Does nothing once it is settled. */
  cut(error: ConnectError, reason: ConnectError): void;
}

/** What a caller has set. */
export interface CallRequest {
  /** A copy of its own; undefined: it set none. */
  readonly header: Headers | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly bounds?: CallBounds | undefined;
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
export abstract class Call extends Timed implements Cuttable {
  declare readonly owner: object;
  declare readonly context: CallContext;
  /** For `OpenCalls` alone. */
  declare olderOpen: Call | undefined;
  declare newerOpen: Call | undefined;
  declare settled: boolean;
  declare protected readonly calls: OpenCalls;
  declare private readonly signal: AbortSignal | undefined;
  declare private onAbort: (() => void) | undefined;
  declare private hasHandler: boolean;

  constructor(calls: OpenCalls, entry: MethodEntry, { header, signal, timeoutMs, owner, bounds }: CallRequest) {
    super(timeoutMs);
    this.owner = owner;
    this.context = new CallContext(
      entry,
      header,
      timeoutMs === undefined && bounds !== undefined ? bounds : this,
      calls,
    );
    this.olderOpen = undefined;
    this.newerOpen = undefined;
    this.settled = false;
    this.calls = calls;
    this.signal = signal;
    this.onAbort = undefined;
    this.hasHandler = true;
    calls.add(this);
    calls.deadlines.begin(this);
    bounds?.adopt(this);
    if (signal !== undefined) {
      this.onAbort = () => {
        const error = abortedBy(signal);
        this.cut(error, error.code === Code.DeadlineExceeded ? error : callerLeft);
      };
      signal.addEventListener("abort", this.onAbort, { once: true });
    }
  }

  /** Hears of an end that did not come from the handler, once. */
  protected abstract onCut(error: ConnectError, reason: ConnectError): void;

  /** The handler has answered. @returns whether that settles the call. */
  settle(reason: unknown): boolean {
    if (this.settled) return false;
    this.endWith(reason);
    return true;
  }

  /** Ends the call from outside its handler. */
  cut(error: ConnectError, reason: ConnectError): void {
    if (this.settled) return;
    this.endWith(reason);
    this.onCut(error, reason);
  }

  override expire(): void {
    const error = deadlineExceeded();
    this.cut(error, error);
  }

  /** Nothing of the handler runs any more. */
  handlerEnded(): void {
    if (!this.hasHandler) return;
    this.hasHandler = false;
    this.calls.delete(this);
  }

  private endWith(reason: unknown): void {
    this.settled = true;
    if (this.onAbort !== undefined) this.signal?.removeEventListener("abort", this.onAbort);
    this.calls.deadlines.end(this);
    this.context.end(reason);
  }
}
