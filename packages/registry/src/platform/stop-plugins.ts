import { within } from "@cpg/core/extension";
import { planStop } from "./plan-start.ts";
import type { PlatformParts } from "./platform-parts.ts";
import type { PluginRun } from "./plugin-run.ts";

export interface StopRequest {
  readonly graceMs: number;
  /** Whether those that can outlive the platform are left running. */
  readonly leave: boolean;
}

/**
 * Stops all plugins, each after those that need it; what is left of the grace is theirs, and when it is over none gets
 * more than a moment. Resolves with what could not be ended.
 */
export async function stopPlugins(parts: PlatformParts, { graceMs, leave }: StopRequest): Promise<unknown[]> {
  const { entries, clock } = parts;
  const layers = planStop(parts.graph().filter(({ id }) => entries.has(id)));
  const endsMs = clock.monotonic() + graceMs;
  const done = new AbortController();
  const hurry = new AbortController();
  clock.sleep(graceMs, done.signal).then(
    () => hurry.abort(new Error("the grace is over")),
    () => {}, // all have stopped
  );
  const errors: unknown[] = [];
  const stop = async (run: PluginRun): Promise<void> => {
    const leftMs = Math.max(0, endsMs - clock.monotonic());
    const grace = { graceMs: leftMs, stopGraceMs: leftMs, hurry: hurry.signal };
    try {
      await run.retire({ ...grace, leave, reason: "the platform closes", asksToEnd: false });
    } catch (error) {
      errors.push(error);
    }
  };
  for (const layer of layers) {
    await Promise.all(
      layer.flatMap((id) => {
        const entry = entries.get(id);
        if (entry === undefined) return [];
        return [entry.run, ...(entry.replacing === undefined ? [] : [entry.replacing.other])].map(stop);
      }),
    );
  }
  done.abort("all have stopped");
  return errors;
}

/** Waits for operations that were given up. */
export async function settled(
  pending: ReadonlySet<Promise<unknown>>,
  parts: Pick<PlatformParts, "clock">,
): Promise<void> {
  const late = () => new Error("operations that were given up did not end");
  await within(parts.clock, settleMs, async () => void (await Promise.allSettled([...pending])), late);
}

const settleMs = 30_000;
