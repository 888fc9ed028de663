import type { ConnectError } from "@connectrpc/connect";

/** The routed calls that providers have in flight. Holds providers with calls, or with somebody who waits, only. */
export interface ProviderCalls {
  /** Counts a call; the function returned ends it, once. `cut` ends it before its time. */
  begin(providerId: string, cut: (error: ConnectError) => void): () => void;
  /** Resolves when the provider has none. @throws the reason of the signal, when that aborts first. */
  idle(providerId: string, signal: AbortSignal | undefined): Promise<void>;
  /** Ends all that it has; how many they were. */
  cut(providerId: string, error: ConnectError): number;
}

interface OpenCall {
  cut(error: ConnectError): void;
}

export function createProviderCalls(): ProviderCalls {
  const open = new Map<string, Set<OpenCall>>();
  const waiting = new Map<string, Set<() => void>>();

  const tellIdle = (providerId: string): void => {
    const all = waiting.get(providerId);
    waiting.delete(providerId);
    for (const resolve of all ?? []) resolve();
  };

  return {
    begin(providerId, cut) {
      const calls = open.get(providerId) ?? new Set();
      open.set(providerId, calls);
      const call = { cut };
      calls.add(call);
      return () => {
        if (!calls.delete(call) || calls.size > 0) return;
        open.delete(providerId);
        tellIdle(providerId);
      };
    },
    async idle(providerId, signal) {
      signal?.throwIfAborted();
      if (!open.has(providerId)) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const all = waiting.get(providerId) ?? new Set();
      waiting.set(providerId, all);
      all.add(resolve);
      const onAbort = () => reject(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      try {
        await promise;
      } finally {
        signal?.removeEventListener("abort", onAbort);
        all.delete(resolve);
        if (all.size === 0 && waiting.get(providerId) === all) waiting.delete(providerId);
      }
    },
    cut(providerId, error) {
      const calls = [...(open.get(providerId) ?? [])];
      for (const { cut } of calls) cut(error);
      return calls.length;
    },
  };
}
