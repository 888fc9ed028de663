import { Code, type ConnectError } from "@connectrpc/connect";
import type { CallBounds, Cuttable } from "../memory/call.ts";
import { abortedBy, callerLeft, deadlineExceeded } from "../memory/call-ends.ts";
import { type Deadlines, Timed } from "../memory/deadlines.ts";
import type { Frame } from "./frame.ts";
import type { FrameSender } from "./port-link.ts";

/** The port as its calls use it. */
export interface PortCalls {
  readonly send: FrameSender;
  /** @returns an id that no other call has. */
  add(call: PortCall): number;
  /** No frame of the call is to come. @returns whether there was one to come. */
  delete(id: number): boolean;
}

/** What the calls of one transport have in common. */
export interface PortLane {
  readonly port: PortCalls;
  readonly deadlines: Deadlines;
  readonly maxMessageBytes: number;
  /** Those that are not settled. */
  readonly open: Set<PortCall>;
}

/** What a caller has set. */
export interface PortCallRequest {
  readonly header: Headers | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly bounds?: CallBounds | undefined;
}

/**
 * The host's side of a call to a worker: it settles once, and leaves no listener, no timer and no id.
 *
 * | event                             | caller gets         | the worker is told |
 * |-----------------------------------|---------------------|--------------------|
 * | the answer has come and been read | it                  | nothing            |
 * | the caller's signal, or it leaves | its own reason      | cancel             |
 * | the deadline                      | `deadline_exceeded` | cancel, late       |
 * | an answer that cannot be taken    | why                 | cancel             |
 * | the transport closes              | `canceled`          | cancel             |
 * | the port closes                   | `unavailable`       | nothing            |
 */
export abstract class PortCall extends Timed implements Cuttable {
  settled = false;
  protected readonly lane: PortLane;
  protected readonly id: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;

  constructor(lane: PortLane, { signal, timeoutMs, bounds }: PortCallRequest) {
    super(timeoutMs);
    this.lane = lane;
    this.id = lane.port.add(this);
    lane.open.add(this);
    lane.deadlines.begin(this);
    bounds?.adopt(this);
    this.#signal = signal;
    if (signal === undefined) return;
    this.#onAbort = () => {
      const error = abortedBy(signal);
      this.cut(error, error.code === Code.DeadlineExceeded ? error : callerLeft);
    };
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** @throws for what the worker must not send. */
  abstract onFrame(frame: Frame): void;

  /** Hears of an end that is no answer, once. */
  protected abstract onCut(error: ConnectError): void;

  /** The answer has come. @returns whether that settles the call. */
  protected settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.lane.port.delete(this.id);
    this.lane.open.delete(this);
    this.lane.deadlines.end(this);
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    return true;
  }

  cut(error: ConnectError, reason: ConnectError): void {
    if (this.settled) return;
    if (this.lane.port.delete(this.id)) this.lane.port.send.cancel(this.id, reason.code === Code.DeadlineExceeded);
    this.settle();
    this.onCut(error);
  }

  override expire(): void {
    const error = deadlineExceeded();
    this.cut(error, error);
  }
}

/** Headers as the caller gets them: their usual type is not sent. */
export function responseHeader(header: Headers | undefined, usualType: string): Headers {
  const complete = header ?? new Headers();
  if (!complete.has("content-type")) complete.set("content-type", usualType);
  return complete;
}

/** What a plugin must not do. */
export function outOfTurn(kind: Frame["kind"]): TypeError {
  return new TypeError(`"${kind}" where it has no place`);
}
