import type { ConnectError } from "@connectrpc/connect";
import type { Registry } from "../../create-registry.ts";
import { createDependencyGraph, type GraphProblem } from "../../graph/dependency-graph.ts";
import { findEdges } from "../../graph/edges.ts";
import type { GraphPlugin } from "../../graph/graph-plugin.ts";
import { HOST_ID } from "../../graph/lent-by-host.ts";
import type { ProviderHealth } from "../../health/provider-health.ts";
import { codeName } from "../../router/call-outcome.ts";
import type { ServiceView } from "../../watch/service-view.ts";
import type { ReplaceStage } from "../platform-error.ts";
import type { PlatformGraphPlugin } from "../platform-graph.ts";
import type { PluginSnapshot, RunSnapshot } from "../plugin-snapshot.ts";

/** How a plugin is seen from its host, beside what it is. */
export interface ServingFacts {
  /** Undefined: it provides nothing at present. */
  readonly health: ProviderHealth | undefined;
  /** Routed calls that it has not answered yet. */
  readonly inFlight: number;
  /** It finishes the calls it has and gets no new ones. */
  readonly draining: boolean;
}

/** An error without what only this process can make use of: its cause, its stack. */
export interface ErrorFacts {
  /** As on the wire, such as "unavailable". */
  readonly code: string;
  readonly message: string;
}

/** One program that a plugin is. */
export interface RunState extends Omit<RunSnapshot, "lastError"> {
  readonly lastError: ErrorFacts | undefined;
}

/** A plugin that the platform looks after. */
export interface PlatformPluginState
  extends RunState,
    Omit<PluginSnapshot, keyof RunSnapshot | "replacing">,
    ServingFacts {
  readonly replacing: { readonly stage: ReplaceStage; readonly other: RunState } | undefined;
}

/** What a plugin needs, and who has it. Ids of the platform, and runtime ids of guests. */
export interface GraphEdge {
  readonly consumer: string;
  readonly type: string;
  /** "": any. */
  readonly minVersion: string;
  readonly required: boolean;
  /** "@host" if the host itself lends it. */
  readonly providers: readonly string[];
}

/** A plugin that came by itself. */
export interface GuestPluginState extends ServingFacts {
  readonly runtimeId: string;
  readonly selfId: string | undefined;
  readonly provides: readonly { readonly type: string; readonly version: string }[];
  readonly requires: NonNullable<GraphPlugin["requires"]>;
}

/** Everything that there is to see of a platform at one moment, as plain data. */
export interface PlatformState {
  /** Wall clock ms. */
  readonly timeMs: number;
  /** Of the registry. */
  readonly revision: number;
  /** In the order in which they were added. */
  readonly plugins: readonly PlatformPluginState[];
  /** In the order in which they came; providers first. */
  readonly guests: readonly GuestPluginState[];
  /** By service type, as watchers see them. */
  readonly services: readonly ServiceView[];
  readonly graph: {
    /** Ids of the platform, and runtime ids of guests: those that can start together, layer after layer. */
    readonly layers: readonly (readonly string[])[];
    readonly edges: readonly GraphEdge[];
    /** What is required and not there, and circles. */
    readonly problems: readonly GraphProblem[];
  };
}

export interface PlatformStateParts {
  readonly timeMs: number;
  readonly plugins: readonly PluginSnapshot[];
  /** Who provides and needs what, by ids of the platform and runtime ids of guests. */
  readonly graph: readonly PlatformGraphPlugin[];
  readonly registry: Pick<Registry, "revision" | "providers" | "services">;
}

/** The state of these parts. Pure. */
export function platformState({ timeMs, plugins, graph, registry }: PlatformStateParts): PlatformState {
  const providers = new Map(registry.providers().map((provider) => [provider.id, provider]));
  const factsOf = (runtimeId: string | undefined): ServingFacts => {
    const provider = runtimeId === undefined ? undefined : providers.get(runtimeId);
    return {
      health: provider?.health,
      inFlight: provider?.inFlight ?? 0,
      draining: provider?.draining ?? false,
    };
  };
  const own = new Set(plugins.map(({ id }) => id));
  const { problems } = createDependencyGraph(graph);
  const plugged = graph.filter(({ id }) => id !== HOST_ID); // which is there before all of them
  const { layers } = createDependencyGraph(plugged);
  const idOf = (place: number): string => graph[place]?.id ?? "";
  return {
    timeMs,
    revision: registry.revision,
    plugins: plugins.map(({ replacing, ...plugin }) => ({
      ...plugin,
      ...runState(plugin),
      replacing: replacing && { stage: replacing.stage, other: runState(replacing.other) },
      ...factsOf(plugin.runtimeId),
    })),
    guests: plugged
      .filter(({ id }) => !own.has(id))
      .map(({ id, selfId, provides = [], requires = [] }) => ({
        runtimeId: id,
        selfId,
        provides,
        requires,
        ...factsOf(id),
      })),
    services: registry.services().toSorted((a, b) => (a.type < b.type ? -1 : 1)),
    graph: {
      layers,
      edges: findEdges(graph).needs.map(({ consumer, providers: from, ...need }) => ({
        ...need,
        consumer: idOf(consumer),
        providers: from.map(idOf),
      })),
      problems,
    },
  };
}

function runState({ lastError, ...run }: RunSnapshot): RunState {
  return { ...run, lastError: lastError && errorFacts(lastError) };
}

function errorFacts({ code, rawMessage }: ConnectError): ErrorFacts {
  return { code: codeName(code), message: rawMessage };
}
