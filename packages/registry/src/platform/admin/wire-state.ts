import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import {
  type PlatformStateSchema,
  PluginKind,
  type PluginSchema,
  PluginState,
  type ProblemSchema,
  type RunSchema,
  type ServingSchema,
} from "@cpg/core/gen/cpg/admin/v1/admin_pb";
import { describeProblem, type GraphProblem } from "../../graph/dependency-graph.ts";
import type { GraphRequirement } from "../../graph/graph-plugin.ts";
import { wireHealth, wireServiceState } from "../../rpc/wire-view.ts";
import type { PlatformPluginKind } from "../platform-plugin.ts";
import type { PluginStateName } from "../plugin-state.ts";
import type { PlatformPluginState, PlatformState, RunState, ServingFacts } from "../state-view/platform-state.ts";

/**
 * A state in few enough bytes to be sent after each change, within the 4 MiB that a message may have by default: what plugins
 * wrote and what went wrong is cut, the more the more plugins there are.
 */
export function wireState(state: PlatformState): MessageInitShape<typeof PlatformStateSchema> {
  const { timeMs, revision, plugins, guests, services, graph } = state;
  const share = textShare(plugins);
  return {
    time: timestampFromMs(timeMs),
    revision: BigInt(revision),
    plugins: plugins.map((plugin) => wirePlugin(plugin, share)),
    guests: guests.map((guest) => ({
      runtimeId: guest.runtimeId,
      selfId: guest.selfId ?? "",
      provides: [...guest.provides],
      requires: guest.requires.map(wireRequirement),
      serving: wireServing(guest),
    })),
    services: services.map(({ type, state: availability, providers }) => ({
      type,
      state: wireServiceState[availability],
      providers: providers.map(({ providerId, version, health, reason, draining }) => {
        return { runtimeId: providerId, version, health: wireHealth[health], reason, draining };
      }),
    })),
    graph: {
      layers: graph.layers.map((ids) => ({ ids: [...ids] })),
      edges: graph.edges.map((edge) => ({ ...edge, providers: [...edge.providers] })),
      problems: graph.problems.map(wireProblem),
    },
  };
}

/** What each program may have of the characters that all of them may; one has up to 3 bytes. */
function textShare(plugins: readonly PlatformPluginState[]): number {
  const runs = plugins.reduce((count, { replacing }) => count + (replacing === undefined ? 1 : 2), 0);
  return Math.max(minTextLength, Math.floor(maxTextLength / runs));
}

const maxTextLength = 900_000;
const minTextLength = 100;

function wirePlugin(plugin: PlatformPluginState, share: number): MessageInitShape<typeof PluginSchema> {
  const { id, kind, optional, operation, replacing } = plugin;
  return {
    id,
    kind: wireKind[kind],
    optional,
    run: wireRun(plugin, share),
    serving: wireServing(plugin),
    operation: operation ?? "",
    replacement: replacing && { stage: replacing.stage, other: wireRun(replacing.other, share) },
  };
}

function wireRun(run: RunState, share: number): MessageInitShape<typeof RunSchema> {
  const { lastError } = run;
  const messageLength = Math.min(maxMessageLength, Math.floor(share / 4));
  return {
    state: wirePluginState[run.state],
    stage: run.stage ?? "",
    since: timestampFromMs(run.sinceMs),
    runtimeId: run.runtimeId ?? "",
    selfId: run.selfId ?? "",
    selfVersion: run.selfVersion ?? "",
    endpoint: run.endpoint ?? "",
    pid: run.pid ?? 0,
    provides: run.provides.map(({ type, version, path = "" }) => ({ type, version, path })),
    requires: run.requires.map(wireRequirement),
    launches: run.launches,
    ends: run.ends,
    lastError: lastError && { code: lastError.code, message: cut(lastError.message, messageLength) },
    stderrTail: lastLines(run.stderrTail, share - messageLength),
  };
}

const maxMessageLength = 1_000;
const maxLines = 10;
const maxLineLength = 400;

/** As many of the last lines as fit, the last one in any case. */
function lastLines(lines: readonly string[], length: number): string[] {
  const kept: string[] = [];
  let left = length;
  for (const line of lines.slice(-maxLines).reverse()) {
    const text = cut(line, Math.min(maxLineLength, length));
    left -= text.length;
    if (kept.length > 0 && left < 0) break;
    kept.unshift(text);
  }
  return kept;
}

function cut(text: string, length: number): string {
  // Half of a pair of surrogates would not be a string on the wire.
  return text.length > length ? `${text.slice(0, length).toWellFormed()}…` : text.toWellFormed();
}

function wireServing({ health, inFlight, draining }: ServingFacts): MessageInitShape<typeof ServingSchema> {
  return {
    health: health === undefined ? HealthState.UNSPECIFIED : wireHealth[health.level],
    healthSource: health?.source ?? "",
    healthReason: health?.reason ?? "",
    unavailableDependencies: [...(health?.unavailableDependencies ?? [])],
    callsInFlight: inFlight,
    draining,
  };
}

function wireRequirement({ type, minVersion = "", requiredForStartup = true }: GraphRequirement) {
  return { type, minVersion, requiredForStartup };
}

function wireProblem(problem: GraphProblem): MessageInitShape<typeof ProblemSchema> {
  const message = describeProblem(problem);
  if (problem.kind === "cycle") return { message, ids: [...problem.path] };
  return { message, ids: [problem.consumer], type: problem.type };
}

const wireKind = {
  managed: PluginKind.MANAGED,
  foreign: PluginKind.FOREIGN,
  endpoint: PluginKind.ENDPOINT,
} as const satisfies Record<PlatformPluginKind, PluginKind>;

const wirePluginState = {
  added: PluginState.ADDED,
  starting: PluginState.STARTING,
  running: PluginState.RUNNING,
  blocked: PluginState.BLOCKED,
  waiting: PluginState.WAITING,
  "crash-looping": PluginState.CRASH_LOOPING,
  failed: PluginState.FAILED,
  restarting: PluginState.RESTARTING,
  draining: PluginState.DRAINING,
  stopping: PluginState.STOPPING,
  stopped: PluginState.STOPPED,
} as const satisfies Record<PluginStateName, PluginState>;
