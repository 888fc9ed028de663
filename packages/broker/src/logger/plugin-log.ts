import { type TokenBucketState, take, tokenBucket } from "@cpg/resilience";
import type { HostLog } from "./host-log.ts";
import { type LogOrder, logEntry } from "./log-entry.ts";
import type { ResolvedLoggerOptions } from "./logger-options.ts";

/** Where the entries of plugins go. */
export interface PluginLog {
  /**
   * Writes one entry of a plugin, or drops and counts it while that plugin writes too much: that is in the log when it
   * begins, and how many they were when it is over.
   */
  write(plugin: string, order: LogOrder): void;
  /** Says what was dropped last, and keeps nothing of the plugin. */
  end(plugin: string): void;
}

interface Writer {
  readonly bucket: TokenBucketState;
  readonly dropped: number;
}

/** Beyond that the one who has been there longest begins anew. */
const maxWriters = 10_000;

/** @param log throws through to whoever writes. */
export function createPluginLog(log: HostLog, { limits, flood, clock }: ResolvedLoggerOptions): PluginLog {
  const writers = new Map<string, Writer>();
  const report = (plugin: string, { dropped }: Writer): void => {
    if (dropped > 0) log.warn({ plugin, dropped }, "entries of a plugin were dropped: it wrote too many");
  };
  const begin = (plugin: string): void => {
    const [oldest] = writers.keys();
    if (writers.size < maxWriters || oldest === undefined || writers.has(plugin)) return;
    end(oldest);
  };
  const end = (plugin: string): void => {
    const writer = writers.get(plugin);
    if (writer === undefined) return;
    writers.delete(plugin);
    report(plugin, writer);
  };
  return {
    write(plugin, order) {
      begin(plugin);
      const nowMs = clock.monotonic();
      const writer = writers.get(plugin) ?? { bucket: tokenBucket(flood, nowMs), dropped: 0 };
      const { ok, state: bucket } = take(writer.bucket, nowMs, flood);
      writers.set(plugin, { bucket, dropped: ok ? 0 : writer.dropped + 1 });
      if (!ok) {
        if (writer.dropped === 0) log.warn({ plugin }, "a plugin writes too many entries: some are dropped");
        return;
      }
      report(plugin, writer);
      const { level, fields, message } = logEntry(plugin, order, limits);
      log[level](fields, message);
    },
    end,
  };
}
