import type { ServiceView } from "./service-view.ts";
import { nextEvent, park, type Reader, unpark } from "./watch-reader.ts";

/**
 * One watch of a service type, for one reader: the present state, then each change that it is in time for; a reader that
 * is not gets the newest state. A read after the end is done; the first one after `end` still gets a newest state that
 * was not read, and the next fails with its error.
 */
export interface ServiceWatch extends AsyncIterableIterator<ServiceView, undefined, void> {
  /** Ends the watch from the other side. */
  end(error: Error): void;
  return(): Promise<IteratorReturnResult<undefined>>;
}

export interface ServiceWatchOptions {
  /** Enters the reader at the first read. @throws what refuses it. */
  open(): Reader;
  /** Called once, when a reader that was entered has left. */
  close(reader: Reader): void;
  readonly signal: AbortSignal | undefined;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

export function createServiceWatch({ open, close, signal }: ServiceWatchOptions): ServiceWatch {
  let reader: Reader | undefined;
  let pending: Promise<IteratorResult<ServiceView, undefined>> | undefined;
  let fail: ((reason: unknown) => void) | undefined;
  let state: { readonly kind: "open" | "done" } | { readonly kind: "failing"; readonly reason: unknown } = {
    kind: "open",
  };

  /** Leaves, once. What waits gets the reason, or, without one, the end. */
  const leave = (reason?: unknown): void => {
    if (state.kind !== "open") return;
    state = reason === undefined ? { kind: "done" } : { kind: "failing", reason };
    signal?.removeEventListener("abort", onAbort);
    if (reader === undefined) return;
    unpark(reader);
    close(reader);
    const { wake } = reader;
    if (wake === undefined) return;
    state = { kind: "done" };
    reader.wake = undefined;
    if (reason === undefined) wake(done);
    else fail?.(reason);
  };
  const onAbort = (): void => {
    leave(signal?.reason);
    // What is unread is of no use to whoever has gone.
    reader = undefined;
  };

  const read = (): Promise<IteratorResult<ServiceView, undefined>> => {
    if (state.kind === "done") return Promise.resolve(done);
    if (state.kind === "open" && reader === undefined) {
      try {
        signal?.throwIfAborted();
        reader = open();
      } catch (reason) {
        state = { kind: "done" };
        return Promise.reject(reason);
      }
      signal?.addEventListener("abort", onAbort, { once: true });
    }
    const event = reader && nextEvent(reader);
    if (event !== undefined) return Promise.resolve(event);
    if (state.kind === "failing") {
      const { reason } = state;
      state = { kind: "done" };
      return Promise.reject(reason);
    }
    const waiting = reader;
    if (waiting === undefined) return Promise.resolve(done);
    pending = new Promise((resolve, reject) => {
      waiting.wake = resolve;
      fail = reject;
    });
    park(waiting);
    return pending;
  };

  const again = (): Promise<IteratorResult<ServiceView, undefined>> => watch.next();
  const watch: ServiceWatch = {
    [Symbol.asyncIterator]: () => watch,
    next: () => (pending === undefined || reader?.wake === undefined ? read() : pending.then(again, again)),
    async return() {
      leave();
      state = { kind: "done" };
      return done;
    },
    end: (error) => leave(error),
  };
  return watch;
}
