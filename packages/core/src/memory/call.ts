import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { ContextCall } from "./call-context.ts";
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
export abstract class Call extends Timed implements Cuttable, ContextCall {
  declare readonly request: CallRequest;
  declare readonly entry: MethodEntry;
  declare settled: boolean;
  declare protected readonly calls: OpenCalls;
  declare private onAbort: (() => void) | undefined;
  declare private hasHandler: boolean;
  declare private controller: AbortController | undefined;
  declare private endReason: unknown;

  constructor(calls: OpenCalls, entry: MethodEntry, request: CallRequest) {
    super(request.timeoutMs);
    this.request = request;
    this.entry = entry;
    this.settled = false;
    this.calls = calls;
    this.onAbort = undefined;
    this.hasHandler = true;
    this.controller = undefined;
    this.endReason = undefined;
    calls.handlerBegan();
    calls.deadlines.begin(this);
    const { signal, bounds } = request;
    if (bounds !== undefined) bounds.adopt(this);
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

  get owner(): object {
    return this.request.owner;
  }

  get method(): DescMethod {
    return this.entry.served.method;
  }

  get callerHeader(): Headers | undefined {
    return this.request.header;
  }

  get timed(): Timed {
    return this.timeoutMs === undefined ? (this.request.bounds ?? this) : this;
  }

  get handlerSignal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.settled) this.controller.abort(this.endReason); // the first reason stays
    return this.controller.signal;
  }

  /** The handler has answered. @returns whether that settles the call. */
  settle(reason: unknown): boolean {
    if (this.settled) return false;
    this.end(reason);
    return true;
  }

  /** Ends the call from outside its handler. */
  cut(error: ConnectError, reason: ConnectError): void {
    if (this.settled) return;
    this.end(reason);
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
    this.calls.handlerEnded();
  }

  private end(reason: unknown): void {
    this.settled = true;
    this.endReason = reason;
    if (this.onAbort !== undefined) this.request.signal?.removeEventListener("abort", this.onAbort);
    this.calls.deadlines.end(this);
    if (this.controller !== undefined) this.controller.abort(reason);
  }
}
