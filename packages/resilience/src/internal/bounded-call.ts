import {
  Code,
  ConnectError,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type DeadlineTimers, Expiring } from "./deadline-timers.ts";
import type { Next } from "./observe-call.ts";

type Request = UnaryRequest | StreamRequest;
type Response = UnaryResponse | StreamResponse;

export interface CallBound {
  /** By the clock's `monotonic()`. Infinity: never, and `timers` is not needed. */
  readonly dueMs: number;
  /** Undefined: the limit is kept by the signal of the request. */
  readonly timers: DeadlineTimers | undefined;
  readonly onExpire: () => ConnectError;
  /** Whether the signal aborts even when a unary call has succeeded: handlers may have left something that listens to it. */
  readonly abortAtEnd: boolean;
  /** The call has ended, whatever the way. */
  readonly onEnd?: ((call: BoundedCall) => void) | undefined;
}

/**
 * A call that ends when its time is up, or when it is cut, whatever goes on further in: its promise is rejected, or the
 * read of its stream that is pending, or the next; its signal aborts; what answers later is dropped. So a handler that
 * does not look at its signal keeps nobody waiting.
 *
 * The signal aborts with that of the request, for its reason. If that is a deadline, the call is cut; any other abort is
 * left to those further in, so that work which goes on is not taken for ended. It also aborts when the call has ended,
 * except for unary calls that succeed, if they need not.
 * A class, since every call with a deadline makes one.
 */
export class BoundedCall extends Expiring {
  declare private readonly bound: CallBound;
  declare private readonly parent: AbortSignal;
  declare private readonly controller: AbortController;
  declare private cutBy: ConnectError | undefined;
  declare private ended: boolean;
  /** Rejects what the caller waits for, until there is an answer. */
  declare private rejectAnswer: ((error: ConnectError) => void) | undefined;
  /** The stream, once there is an answer. */
  declare private stream: GuardedStream | undefined;

  constructor(parent: AbortSignal, bound: CallBound) {
    super(bound.dueMs);
    this.bound = bound;
    this.parent = parent;
    this.controller = new AbortController();
    this.cutBy = undefined;
    this.ended = false;
    this.rejectAnswer = undefined;
    this.stream = undefined;
  }

  /** At most once. A call whose signal has aborted already is not made. */
  run(next: Next, request: Request, header: Headers): Promise<Response> {
    if (this.parent.aborted) {
      this.end();
      return Promise.reject(ConnectError.from(this.parent.reason, Code.Canceled));
    }
    this.parent.addEventListener("abort", this);
    this.bound.timers?.begin(this);
    return new Promise((resolve, reject) => {
      this.rejectAnswer = reject;
      const fail = (reason: unknown) => {
        this.end();
        reject(reason);
      };
      try {
        next({ ...request, header, signal: this.controller.signal }).then((response) => {
          resolve(response.stream ? this.guard(response) : response);
          if (!response.stream) this.succeed();
        }, fail);
      } catch (reason) {
        fail(reason);
      }
    });
  }

  /** Ends the call with the error, unless it has ended. */
  cut(error: ConnectError): void {
    if (this.ended) return;
    this.cutBy = error;
    this.end(error);
    this.rejectAnswer?.(error);
    this.stream?.cut(error);
  }

  override expire(): void {
    this.cut(this.bound.onExpire());
  }

  /** The signal of the request has aborted. */
  handleEvent(): void {
    const { reason } = this.parent;
    if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded) this.cut(reason);
    else this.controller.abort(reason);
  }

  private end(reason: unknown = callEnded): void {
    if (this.ended) return;
    this.release();
    this.controller.abort(reason);
  }

  /** Aborting a signal costs more than all else here. */
  private succeed(): void {
    if (this.bound.abortAtEnd) this.end();
    else if (!this.ended) this.release();
  }

  private release(): void {
    this.ended = true;
    this.parent.removeEventListener("abort", this);
    this.bound.timers?.end(this);
    this.bound.onEnd?.(this);
  }

  private guard(response: StreamResponse): StreamResponse {
    const { message } = response;
    if (this.cutBy !== undefined) {
      leave(message[Symbol.asyncIterator]());
      return response;
    }
    const stream = new GuardedStream(message, () => this.end());
    this.stream = stream;
    return { ...response, message: stream };
  }
}

/** For who still looks at the signal of a call that has ended. Connect takes an error of this name for `canceled`. */
const callEnded = new DOMException("the call has ended", "AbortError");

/** The messages of a stream, until it is cut. To be read by one reader. */
class GuardedStream implements AsyncIterableIterator<StreamMessage> {
  readonly #inner: AsyncIterator<StreamMessage>;
  readonly #onEnd: () => void;
  readonly #pending = new Set<(error: ConnectError) => void>();
  #cutBy: ConnectError | undefined;

  constructor(messages: AsyncIterable<StreamMessage>, onEnd: () => void) {
    this.#inner = messages[Symbol.asyncIterator]();
    this.#onEnd = onEnd;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<StreamMessage>> {
    return new Promise((resolve, reject) => {
      if (this.#cutBy !== undefined) {
        reject(this.#cutBy);
        return;
      }
      this.#pending.add(reject);
      this.#inner.next().then(
        (result) => {
          this.#pending.delete(reject);
          if (result.done) this.#onEnd();
          resolve(result);
        },
        (reason: unknown) => {
          this.#pending.delete(reject);
          this.#onEnd();
          reject(reason);
        },
      );
    });
  }

  async return(value?: unknown): Promise<IteratorResult<StreamMessage>> {
    this.#onEnd();
    return this.#inner.return === undefined ? { done: true, value } : await this.#inner.return(value);
  }

  async throw(reason?: unknown): Promise<IteratorResult<StreamMessage>> {
    this.#onEnd();
    if (this.#inner.throw === undefined) throw reason;
    return await this.#inner.throw(reason);
  }

  cut(error: ConnectError): void {
    this.#cutBy = error;
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
    leave(this.#inner);
  }
}

type StreamMessage = StreamResponse["message"] extends AsyncIterable<infer M> ? M : never;

/** Nobody will read on. Not waited for: a generator that is stuck does not answer. */
function leave(iterator: AsyncIterator<unknown>): void {
  iterator.return?.().then(undefined, () => {});
}
