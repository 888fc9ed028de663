import { Code, ConnectError } from "@connectrpc/connect";
import { HOST_ID } from "../graph/lent-by-host.ts";
import { drainCalls } from "./drain-calls.ts";
import { describeBreaks, findPluginImpact } from "./find-plugin-impact.ts";
import type { RemoveOptions } from "./platform.ts";
import type { PlatformParts } from "./platform-parts.ts";
import type { PluginImpact } from "./plugin-impact.ts";

/** As `Platform.impact`. */
export function impactOf({ graph }: PlatformParts, id: string): PluginImpact {
  const plugins = graph();
  const isThere = id !== HOST_ID && plugins.some((plugin) => plugin.id === id);
  if (!isThere) throw new ConnectError(`there is no plugin ${id}`, Code.NotFound);
  return findPluginImpact(plugins, id);
}

/** As `Platform.remove`, which see. */
export async function removePlugin(parts: PlatformParts, id: string, options: RemoveOptions): Promise<void> {
  const { entries, registry, clock, closing, emit } = parts;
  const { force = false, graceMs = 30_000, reason = "" } = options;
  checkMs("graceMs", graceMs);
  closing.throwIfAborted();
  const entry = entries.get(id);
  if (entry !== undefined) parts.checkFree(entry, "remove");
  const impact = impactOf(parts, id);
  if (!force && impact.breaks.length > 0) throw new ConnectError(describeBreaks(impact), Code.FailedPrecondition);
  if (entry === undefined) {
    const callsCut = await drainCalls({ registry, clock, providerId: id, graceMs, reason, signal: closing });
    if (callsCut > 0) emit({ plugin: id, type: "calls-cut", calls: callsCut });
    registry.remove(id);
    return;
  }
  await parts.operate(entry, "remove", async () => {
    try {
      const retirement = { graceMs, stopGraceMs: graceMs, reason, asksToEnd: true, hurry: closing };
      const { callsCut } = await entry.run.retire(retirement);
      if (callsCut > 0) emit({ plugin: id, type: "calls-cut", calls: callsCut });
    } finally {
      entries.delete(id);
      emit({ plugin: id, type: "removed" });
    }
  });
}

/** @throws {RangeError} naming the option. */
export function checkMs(option: string, value: number): void {
  if (!(value >= 0 && value <= maxMs)) throw new RangeError(`${option} must be from 0 to ${maxMs}, got ${value}`);
}

const maxMs = 2 ** 31 - 1;
