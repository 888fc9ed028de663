import type { GraphPlugin } from "./graph-plugin.ts";
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

export interface Edges {
  readonly needs: readonly Need[];
  readonly unmet: readonly UnmetRequirement[];
}

interface Provider {
  readonly plugin: number;
  readonly version: string;
}

/** Who provides what each plugin needs. A plugin that provides itself what it needs needs nobody for it. */
export function findEdges(plugins: readonly GraphPlugin[]): Edges {
  const providersOf = new Map<string, Provider[]>();
  for (const [plugin, { provides = [] }] of plugins.entries()) {
    for (const { type, version } of provides) {
      const known = providersOf.get(type);
      if (known === undefined) providersOf.set(type, [{ plugin, version }]);
      else known.push({ plugin, version });
    }
  }
  const satisfies = createVersionCheck();
  const needs: Need[] = [];
  const unmet: UnmetRequirement[] = [];
  for (const [consumer, { id, requires = [] }] of plugins.entries()) {
    for (const { type, minVersion = "", requiredForStartup = true } of requires) {
      const all = providersOf.get(type) ?? [];
      const fitting = all.filter(({ version }) => satisfies(version, minVersion));
      if (fitting.length === 0) {
        const facts = { consumer: id, type, minVersion, requiredForStartup };
        const found = all.map(({ plugin, version }) => ({ provider: plugins[plugin]?.id ?? "", version }));
        unmet.push(all.length === 0 ? { ...facts, kind: "missing" } : { ...facts, kind: "version", found });
        continue;
      }
      if (fitting.some(({ plugin }) => plugin === consumer)) continue;
      const providers = [...new Set(fitting.map(({ plugin }) => plugin))];
      needs.push({ consumer, type, minVersion, required: requiredForStartup, providers });
    }
  }
  return { needs, unmet };
}
