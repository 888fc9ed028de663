import { Code, ConnectError } from "@connectrpc/connect";
import type { PluginServer } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import type { Registry } from "../create-registry.ts";
import { checkDependencies } from "./check-dependencies.ts";
import { createPluginRun } from "./create-plugin-run.ts";
import { createHandshakeTurns } from "./handshake-turns.ts";
import { watchHandshake } from "./handshake-watch.ts";
import type { PlatformEntry } from "./platform-entry.ts";
import { platformGraph, presentProviders } from "./platform-graph.ts";
import type { PlatformNews, PlatformParts } from "./platform-parts.ts";
import type { PluginRun } from "./plugin-run.ts";
import type { PluginState } from "./plugin-state.ts";
import { replaceStageOf } from "./replace-plugin.ts";

export interface PlatformPartsOptions {
  readonly host: PluginServer;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  readonly closing: AbortSignal;
  /** Aborts when the platform begins to stop its plugins, and leaves none. */
  readonly stopping: AbortSignal;
  emit(news: PlatformNews): void;
  /** Hears of each operation that was begun. */
  track(work: Promise<unknown>): void;
}

export function createPlatformParts(options: PlatformPartsOptions): PlatformParts {
  const { host, registry, clock, random, closing, stopping, emit, track } = options;
  const entries = new Map<string, PlatformEntry>();
  /** Identities that were adopted, by the handshake that they were given for. */
  const adopted = new WeakSet<object>();
  const handshakeTurns = createHandshakeTurns();

  const tell = (id: string, run: PluginRun, from: PluginState, error: ConnectError | undefined): void => {
    const entry = entries.get(id);
    if (entry === undefined) return;
    const { state } = run;
    const { replacing } = entry;
    const isNext = replacing?.other === run && replacing.stage !== "drain";
    const of = entry.run === run ? "present" : isNext ? "next" : "previous";
    const stage = "stage" in state ? state.stage : undefined;
    emit({ plugin: id, type: "state", from: from.kind, state: state.kind, stage, of, error });
    if (!isNext || state.kind !== "starting") return;
    const reached = replaceStageOf(state.stage);
    if (reached === replacing.stage) return;
    replacing.stage = reached;
    emit({ plugin: id, type: "replacing", stage: reached });
  };

  const parts: PlatformParts = {
    host,
    registry,
    clock,
    entries,
    closing,
    emit,
    createRun(plugin, { standby, problem }) {
      const { id } = plugin;
      const run = createPluginRun({
        plugin,
        host,
        registry,
        clock,
        random,
        hostClosing: stopping,
        standby,
        handshakeTurns,
        watchHandshake: (selfId, onStandby) =>
          watchHandshake({
            identities: host.identities,
            selfId,
            claim(identity) {
              if (adopted.has(identity)) return false;
              adopted.add(identity);
              if (onStandby) identity.onEnd(registry.hold(identity.runtimeId));
              return true;
            },
          }),
        checkDependencies(known) {
          if (problem !== undefined) throw new ConnectError(problem, Code.FailedPrecondition);
          const present = presentProviders(registry, entries.values());
          checkDependencies({ plugin: { ...known, id }, present, entries: entries.values() });
        },
        onState: (from, error) => tell(id, run, from, error),
      });
      return run;
    },
    graph: () => platformGraph(entries.values(), registry),
    entryOf(id) {
      const entry = entries.get(id);
      if (entry === undefined) throw new ConnectError(`there is no plugin ${id}`, Code.NotFound);
      return entry;
    },
    checkFree({ id, operation: present }, operation) {
      closing.throwIfAborted();
      if (present === undefined) return;
      const message = `plugin ${id}: ${operation} while ${present} is under way; try again when that is done`;
      throw new ConnectError(message, Code.Aborted);
    },
    async operate(entry, operation, work) {
      parts.checkFree(entry, operation);
      entry.operation = operation;
      const done = work();
      track(done);
      try {
        return await done;
      } finally {
        entry.operation = undefined;
      }
    },
  };
  return parts;
}
