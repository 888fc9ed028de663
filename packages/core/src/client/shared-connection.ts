import { Code, ConnectError } from "@connectrpc/connect";
import type { Connected } from "./open-connection.ts";

/** One connection, made by whoever asks first and shared by all. */
export interface SharedConnection<C extends Connected> {
  /** The one that is there, or the next one. Concurrent callers share the attempt; after a failure the next one tries again. */
  get(): Promise<C>;
  /** The one that is there. */
  readonly current: C | undefined;
  /** Whoever asks from now on gets another one than this. The caller closes it. */
  drop(connected: C): void;
  /** Cuts an attempt short, and closes what is there. Idempotent. */
  close(): Promise<void>;
}

type State<C> =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting"; readonly attempt: Promise<C>; readonly abort: AbortController }
  | { readonly kind: "connected"; readonly connected: C }
  | { readonly kind: "closed" };

export function createSharedConnection<C extends Connected>(
  establish: (signal: AbortSignal) => Promise<C>,
): SharedConnection<C> {
  let state: State<C> = { kind: "idle" };
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    const before = state;
    state = { kind: "closed" };
    if (before.kind === "connected") await before.connected.calls.close();
    if (before.kind === "connecting") {
      before.abort.abort(new ConnectError("the plugin client is closed", Code.Canceled));
      // An attempt that won the race against the abort has opened a transport.
      await before.attempt.then(
        ({ calls }) => calls.close(),
        () => {},
      );
    }
  };

  return {
    get() {
      if (state.kind === "closed") {
        return Promise.reject(new ConnectError("the plugin client is closed", Code.Canceled));
      }
      if (state.kind === "connected") return Promise.resolve(state.connected);
      if (state.kind === "connecting") return state.attempt;
      const abort = new AbortController();
      const attempt = establish(abort.signal);
      const connecting: State<C> = { kind: "connecting", attempt, abort };
      state = connecting;
      attempt.then(
        (connected) => {
          if (state === connecting) state = { kind: "connected", connected };
        },
        () => {
          if (state === connecting) state = { kind: "idle" };
        },
      );
      return attempt;
    },
    get current() {
      return state.kind === "connected" ? state.connected : undefined;
    },
    drop(connected) {
      if (state.kind === "connected" && state.connected === connected) state = { kind: "idle" };
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}
