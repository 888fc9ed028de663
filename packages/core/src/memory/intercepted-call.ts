import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { requestHeader } from "@connectrpc/connect/protocol-connect";
import type { CallBounds, Cuttable } from "./call.ts";
import { abortedBy, callerLeft, deadlineExceeded } from "./call-ends.ts";
import { type Deadlines, Timed } from "./deadlines.ts";

export interface InterceptedFacts {
  readonly method: DescMethod;
  /** A copy of the caller's. */
  readonly header: Headers | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/**
 * One call as the interceptors of the client see it, around the calls that they let through. It ends with the caller's
 * signal, at the deadline, or when the interceptors have answered; its own signal aborts then, and what travels still is
 * cut. Signal and headers come to be when an interceptor looks at them: most look at neither, and each costs as much as the
 * rest of a call.
 */
export class InterceptedCall extends Timed implements CallBounds {
  declare readonly method: DescMethod;
  declare readonly callerHeader: Headers | undefined;
  declare private readonly callerSignal: AbortSignal | undefined;
  declare private readonly deadlines: Deadlines;
  declare private onAbort: (() => void) | undefined;
  declare private controller: AbortController | undefined;
  declare private requestHeader: Headers | undefined;
  declare private ended: boolean;
  declare private endReason: unknown;
  declare private travelling: readonly Cuttable[];

  /** @throws {ConnectError} when the caller's signal has aborted already. */
  constructor({ method, header, signal, timeoutMs }: InterceptedFacts, deadlines: Deadlines) {
    if (signal?.aborted) throw abortedBy(signal);
    super(timeoutMs);
    this.method = method;
    this.callerHeader = header;
    this.callerSignal = signal;
    this.deadlines = deadlines;
    this.onAbort = undefined;
    this.controller = undefined;
    this.requestHeader = undefined;
    this.ended = false;
    this.endReason = undefined;
    this.travelling = none;
    deadlines.begin(this);
    if (signal !== undefined) {
      this.onAbort = () => this.end(signal.reason);
      signal.addEventListener("abort", this.onAbort, { once: true });
    }
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.ended) this.controller.abort(this.endReason);
    return this.controller.signal;
  }

  get header(): Headers {
    this.requestHeader ??= requestHeader(this.method.methodKind, true, this.timeoutMs, this.callerHeader, true);
    return this.requestHeader;
  }

  /** The headers if an interceptor has looked at them. */
  get touchedHeader(): Headers | undefined {
    return this.requestHeader;
  }

  adopt(call: Cuttable): void {
    const { travelling } = this;
    this.travelling = travelling.length === 0 ? [call] : [...travelling.filter(({ settled }) => !settled), call];
  }

  /** Whether a call has been let through, which sees to it that the deadline is watched. */
  get passedOn(): boolean {
    return this.travelling.length > 0;
  }

  /** @throws {ConnectError} what has ended it, if it has ended. */
  checkOpen(): void {
    if (this.ended) throw this.endError();
  }

  /** Idempotent: the first reason counts. */
  end(reason: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.endReason = reason;
    if (this.onAbort !== undefined) this.callerSignal?.removeEventListener("abort", this.onAbort);
    this.deadlines.end(this);
    this.controller?.abort(reason);
    const { travelling } = this;
    this.travelling = none;
    for (const call of travelling) {
      if (call.settled) continue;
      const error = this.endError();
      call.cut(error, error.code === Code.DeadlineExceeded ? error : callerLeft);
    }
  }

  /** Ends it. @returns the error for the caller: what had ended it before, or `reason`. */
  fail(reason: unknown): ConnectError {
    const error = this.ended ? this.endError() : ConnectError.from(reason);
    this.end(error);
    return error;
  }

  override expire(): void {
    this.end(deadlineExceeded());
  }

  private endError(): ConnectError {
    return ConnectError.from(this.endReason, Code.Canceled);
  }
}

const none: readonly Cuttable[] = [];
