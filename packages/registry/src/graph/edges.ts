import type { GraphPlugin, GraphRequirement } from "./graph-plugin.ts";
import { createVersionCheck } from "./satisfies.ts";

/** A requirement that no plugin meets. */
export type UnmetRequirement = {
  readonly consumer: string;
  readonly type: string;
  /** "": any. */
  readonly minVersion: string;
  readonly requiredForStartup: boolean;
} & (
  | { readonly kind: "missing" }
  /** There are providers, and their versions are too old. */
  | { readonly kind: "version"; readonly found: readonly { readonly provider: string; readonly version: string }[] }
);

/** One requirement of one plugin, with those that meet it. Plugins are numbers: places in the list of them. */
export interface Need {
  readonly consumer: number;
  readonly type: string;
  readonly minVersion: string;
  readonly required: boolean;
  /** Providers that meet it, the consumer itself not among them. Empty and unmet only if `unmet` says so. */
  readonly providers: readonly number[];
}

/**
 * Who waits for whom. There may be hundreds of thousands, so they are numbers in arrays: arrow `a` leads from plugin
 * `consumers[a]` to plugin `providers[a]`, and belongs to requirement number `needOf[a]`, one for each provider that meets it.
 */
export interface Edges {
  readonly count: number;
  readonly consumers: Int32Array;
  readonly providers: Int32Array;
  readonly needOf: Int32Array;
  /** By the number of the requirement: 1 if the plugin cannot do without. */
  readonly required: Uint8Array;
  readonly needs: readonly Need[];
  readonly unmet: readonly UnmetRequirement[];
}

/** Who provides what each plugin needs. A plugin that provides itself what it needs needs nobody for it. */
export function findEdges(plugins: readonly GraphPlugin[]): Edges {
  const services = listServices(plugins);
  const satisfies = createVersionCheck();
  const required = new Uint8Array(services.requirements);
  // One arrow for each requirement, as a rule; the others wait in `more`.
  const consumers = new Int32Array(services.requirements);
  const providers = new Int32Array(services.requirements);
  const needOf = new Int32Array(services.requirements);
  const more: Arrow[] = [];
  let count = 0;
  const unmet: UnmetRequirement[] = [];
  let need = -1;
  for (let consumer = 0; consumer < plugins.length; consumer++) {
    const requires = plugins[consumer]?.requires;
    if (requires === undefined) continue;
    // By index: there may be half a million of them.
    for (let index = 0; index < requires.length; index++) {
      const { type, minVersion = "", requiredForStartup = true } = requires[index] as GraphRequirement;
      need++;
      if (requiredForStartup) required[need] = 1;
      const mark = services.marks.get(type);
      // Nearly always there is one, and any version will do: lists would take most of the time.
      if (mark !== undefined && (mark & several) === 0 && minVersion === "") {
        const provider = mark >> 1;
        if (provider === consumer) continue;
        consumers[count] = consumer;
        providers[count] = provider;
        needOf[count] = need;
        count++;
        continue;
      }
      const all = providersOf(plugins, services, type);
      const fitting = all.filter(({ version }) => satisfies(version, minVersion));
      if (fitting.length === 0) {
        const facts = { consumer: plugins[consumer]?.id ?? "", type, minVersion, requiredForStartup };
        const found = all.map(({ plugin, version }) => ({ provider: plugins[plugin]?.id ?? "", version }));
        unmet.push(all.length === 0 ? { ...facts, kind: "missing" } : { ...facts, kind: "version", found });
      } else if (fitting.every(({ plugin }) => plugin !== consumer)) {
        for (const provider of new Set(fitting.map(({ plugin }) => plugin))) more.push({ consumer, provider, need });
      }
    }
  }
  const taken = withMore({ count, consumers, providers, needOf }, more);
  let needs: readonly Need[] | undefined;
  return {
    ...taken,
    required,
    unmet,
    get needs() {
      needs ??= listNeeds(plugins, taken);
      return needs;
    },
  };
}

interface Provider {
  readonly plugin: number;
  readonly version: string;
}

interface Services {
  /** By type: twice the number of the first plugin that provides it, and `several` added if it is not the only one. */
  readonly marks: ReadonlyMap<string, number>;
  /** Of types that are provided more than once. */
  readonly lists: ReadonlyMap<string, readonly Provider[]>;
  /** How many requirements the plugins have together. */
  readonly requirements: number;
}

const several = 1;

function listServices(plugins: readonly GraphPlugin[]): Services {
  const marks = new Map<string, number>();
  const lists = new Map<string, Provider[]>();
  let requirements = 0;
  for (const [plugin, { provides = [], requires = [] }] of plugins.entries()) {
    requirements += requires.length;
    for (const { type, version } of provides) {
      const mark = marks.get(type);
      if (mark === undefined) {
        marks.set(type, plugin << 1);
      } else if ((mark & several) === 0) {
        marks.set(type, mark | several);
        const first = mark >> 1;
        const before = first === plugin ? versionsIn(provides, type) : versionsIn(plugins[first]?.provides, type);
        lists.set(type, [
          { plugin: first, version: before[0] ?? "" },
          { plugin, version },
        ]);
      } else {
        lists.get(type)?.push({ plugin, version });
      }
    }
  }
  return { marks, lists, requirements };
}

function providersOf(plugins: readonly GraphPlugin[], { marks, lists }: Services, type: string): readonly Provider[] {
  const mark = marks.get(type);
  if (mark === undefined) return [];
  const list = lists.get(type);
  if (list !== undefined) return list;
  const plugin = mark >> 1;
  return versionsIn(plugins[plugin]?.provides, type).map((version) => ({ plugin, version }));
}

function versionsIn(provides: GraphPlugin["provides"] = [], wanted: string): string[] {
  return provides.filter(({ type }) => type === wanted).map(({ version }) => version);
}

type Arrows = Pick<Edges, "count" | "consumers" | "providers" | "needOf">;

interface Arrow {
  readonly consumer: number;
  readonly provider: number;
  readonly need: number;
}

function withMore(arrows: Arrows, more: readonly Arrow[]): Arrows {
  if (more.length === 0) return arrows;
  const { count } = arrows;
  const longer = (numbers: Int32Array, added: (arrow: Arrow) => number): Int32Array => {
    const all = new Int32Array(count + more.length);
    all.set(numbers.subarray(0, count));
    for (const [index, arrow] of more.entries()) all[count + index] = added(arrow);
    return all;
  };
  return {
    count: count + more.length,
    consumers: longer(arrows.consumers, ({ consumer }) => consumer),
    providers: longer(arrows.providers, ({ provider }) => provider),
    needOf: longer(arrows.needOf, ({ need }) => need),
  };
}

function listNeeds(plugins: readonly GraphPlugin[], { count, providers, needOf }: Arrows): Need[] {
  const providersOf = new Map<number, number[]>();
  for (let arrow = 0; arrow < count; arrow++) {
    const need = needOf[arrow] ?? 0;
    const known = providersOf.get(need);
    if (known === undefined) providersOf.set(need, [providers[arrow] ?? 0]);
    else known.push(providers[arrow] ?? 0);
  }
  const needs: Need[] = [];
  let need = -1;
  for (const [consumer, { requires = [] }] of plugins.entries()) {
    for (const { type, minVersion = "", requiredForStartup: isRequired = true } of requires) {
      need++;
      const met = providersOf.get(need);
      if (met !== undefined) needs.push({ consumer, type, minVersion, required: isRequired, providers: met });
    }
  }
  return needs;
}
