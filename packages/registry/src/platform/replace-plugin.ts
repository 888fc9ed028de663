import { Code, ConnectError } from "@connectrpc/connect";
import { checkPlatformPlugin } from "./check-platform-plugin.ts";
import { checkReplacement } from "./check-replacement.ts";
import type { ReplaceOptions, ReplaceReport } from "./platform.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import { PlatformError, platformFailed, type ReplaceStage } from "./platform-error.ts";
import type { PlatformParts } from "./platform-parts.ts";
import type { PlatformPlugin } from "./platform-plugin.ts";
import type { PluginRun } from "./plugin-run.ts";
import type { StartStage } from "./plugin-state.ts";
import { checkMs } from "./remove-plugin.ts";

/** As `Platform.replace`, which see. */
export async function replacePlugin(
  parts: PlatformParts,
  id: string,
  next: PlatformPlugin,
  options: ReplaceOptions,
): Promise<ReplaceReport> {
  const { streamGraceMs = 30_000, drainMs = 30_000 } = options;
  checkMs("streamGraceMs", streamGraceMs);
  checkMs("drainMs", drainMs);
  checkPlatformPlugin("next", next);
  if (next.id !== id) throw new ConnectError(`next.id must be ${id}, got ${next.id}`, Code.InvalidArgument);
  const entry = parts.entryOf(id);
  if (next.endpoint !== undefined && next.endpoint === entry.plugin.endpoint) {
    throw new ConnectError(`next.endpoint: plugin ${id} is there already`, Code.InvalidArgument);
  }
  return await parts.operate(entry, "replace", async () => {
    try {
      const report = await replace(parts, entry, next, { ...options, streamGraceMs, drainMs });
      parts.emit({ plugin: id, type: "replaced", error: undefined });
      return report;
    } catch (reason) {
      const error = ConnectError.from(reason);
      parts.emit({ plugin: id, type: "not-replaced", error });
      throw error;
    } finally {
      entry.replacing = undefined;
    }
  });
}

type Patience = ReplaceOptions & { readonly streamGraceMs: number; readonly drainMs: number };

async function replace(
  parts: PlatformParts,
  entry: PlatformEntry,
  next: PlatformPlugin,
  options: Patience,
): Promise<ReplaceReport> {
  const { clock, closing, emit } = parts;
  const { id, run: old } = entry;
  const beganMs = clock.monotonic();
  const candidate = parts.createRun(next, { standby: true });
  const reach = (stage: ReplaceStage, other: PluginRun): void => {
    entry.replacing = { stage, other };
    emit({ plugin: id, type: "replacing", stage });
  };

  let to = "";
  let switchMs = 0;
  const from = old.runtimeId;
  let readyMs = beganMs;
  try {
    reach("launch", candidate);
    const signal = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal]);
    await candidate.start(signal);
    reach("check", candidate);
    const { allowDowngrade = false } = options;
    checkReplacement({
      id,
      old: old.snapshot().provides,
      next: candidate.snapshot().provides,
      plugins: parts.graph(),
      allowDowngrade,
    });
    readyMs = clock.monotonic();
    reach("switch", candidate);
    signal.throwIfAborted();
    to = switchCalls(parts, old, candidate);
    entry.run = candidate;
    entry.plugin = next;
    switchMs = clock.monotonic() - readyMs;
  } catch (reason) {
    const stage = entry.replacing?.stage ?? "launch";
    const error = failed(id, stage, reason);
    await candidate.retire({ graceMs: 0, stopGraceMs: 0, reason: "it does not replace the other", asksToEnd: false });
    throw error;
  }

  reach("drain", old);
  const reason = `it was replaced by ${to}`;
  let error: Error | undefined;
  let retired = { callsCut: 0, drainMs: 0, stopMs: 0 };
  try {
    const { streamGraceMs: graceMs, drainMs: stopGraceMs } = options;
    retired = await old.retire({ graceMs, stopGraceMs, reason, asksToEnd: true, hurry: closing });
  } catch (failure) {
    error = failed(id, "stop", failure);
  }
  if (retired.callsCut > 0) emit({ plugin: id, type: "calls-cut", calls: retired.callsCut });
  return { plugin: id, from, to, startMs: readyMs - beganMs, switchMs, ...retired, error };
}

/** At once, in one turn. @throws {ConnectError} `unavailable` when the next one does not run any more. */
function switchCalls({ registry }: PlatformParts, old: PluginRun, candidate: PluginRun): string {
  const to = candidate.runtimeId;
  if (to === undefined || candidate.state.kind !== "running") {
    throw new ConnectError(`the next one is ${candidate.state.kind}`, Code.Unavailable);
  }
  const provides = (id: string | undefined) => registry.providers().some((provider) => provider.id === id);
  const from = old.runtimeId;
  if (from !== undefined && provides(from) && provides(to)) registry.succeed(from, to);
  else registry.promote(to);
  candidate.promote();
  return to;
}

function failed(plugin: string, stage: ReplaceStage, reason: unknown): ConnectError {
  const { cause } = ConnectError.from(reason);
  if (!(cause instanceof PlatformError)) return platformFailed({ plugin, stage, reason });
  const { stderrTail } = cause;
  return platformFailed({ plugin, stage: replaceStageOf(cause.stage), stderrTail, reason: cause.cause ?? reason });
}

/** The stage of a replacement in which its next one reaches a stage of its start. */
export function replaceStageOf(stage: StartStage | ReplaceStage): ReplaceStage {
  switch (stage) {
    case "launch":
    case "handshake":
      return "launch";
    case "health":
      return "health";
    case "describe":
    case "dependencies":
    case "identity":
    case "register":
    case "route":
      return "introduce";
    default:
      return stage;
  }
}
