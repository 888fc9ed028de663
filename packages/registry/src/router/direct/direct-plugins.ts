import type { DirectEndpoint } from "@cpg/core";
import type { DirectUpstream } from "../upstream.ts";
import { createDirectPlugin, type DirectCall, type DirectPlugin, type DirectRequest } from "./direct-plugin.ts";

export interface DirectPluginsOptions {
  readonly maxMessageBytes: number;
  onError(error: unknown): void;
}

/** The plugins without a socket that calls went to. */
export interface DirectPlugins {
  /** @throws {Error} when the plugin cannot be called, as it is gone. */
  call(upstream: DirectUpstream, request: DirectRequest): DirectCall;
  /** Nothing more goes there: it is let go once its calls have ended. */
  retire(upstream: DirectUpstream): void;
  /** Ends the calls in flight. Idempotent. */
  close(): Promise<void>;
}

interface Entry {
  readonly plugin: DirectPlugin;
  inFlight: number;
  retired: boolean;
}

export function createDirectPlugins(options: DirectPluginsOptions): DirectPlugins {
  const { onError } = options;
  const entries = new Map<DirectEndpoint, Entry>();
  const open = new Set<Entry>();

  const closeEntry = (entry: Entry): Promise<void> => {
    open.delete(entry);
    return entry.plugin.close().catch(onError);
  };
  const closeIfDone = (entry: Entry): void => {
    if (entry.retired && entry.inFlight === 0) void closeEntry(entry);
  };
  const entryOf = (upstream: DirectUpstream): Entry => {
    const known = entries.get(upstream.endpoint);
    if (known !== undefined) return known;
    const entry = { plugin: createDirectPlugin({ ...options, upstream }), inFlight: 0, retired: false };
    entries.set(upstream.endpoint, entry);
    open.add(entry);
    return entry;
  };

  return {
    call(upstream, request) {
      const entry = entryOf(upstream);
      const call = entry.plugin.call(request);
      entry.inFlight++;
      void call.ended.then(() => {
        entry.inFlight--;
        closeIfDone(entry);
      });
      return call;
    },
    retire({ endpoint }) {
      const entry = entries.get(endpoint);
      if (entry === undefined) return;
      entries.delete(endpoint);
      entry.retired = true;
      closeIfDone(entry);
    },
    async close() {
      entries.clear();
      await Promise.all([...open].map(closeEntry));
    },
  };
}
