import {
  type ResolvedDeclaration,
  type ResolvedDependency,
  resolveDeclaration,
  resolveDependency,
  type ServiceDeclaration,
  type ServiceDependency,
} from "./plugin-definition.ts";
import type { PluginSet } from "./plugin-set.ts";

/** What a program provides and requires by itself, beside its plugins. */
export interface OwnDeclarations {
  /** Services that it registers by itself. `path` defaults to "/". Default: none. */
  readonly provides?: readonly ServiceDeclaration[] | undefined;
  /** Services of other plugins that it calls. Default: none. */
  readonly requires?: readonly ServiceDependency[] | undefined;
}

/** All that a program provides and requires. */
export interface AllDeclarations {
  readonly provides: readonly ResolvedDeclaration[];
  readonly requires: readonly ResolvedDependency[];
}

/** @throws {ConnectError} `invalid_argument` naming the field of `own` that breaks a rule. */
export function allDeclarations(plugins: PluginSet, own: OwnDeclarations = {}): AllDeclarations {
  const definitions = Object.values(plugins);
  const { provides = [], requires = [] } = own;
  return {
    provides: [
      ...definitions.flatMap((plugin) => plugin.provides),
      ...provides.map((service, index) => resolveDeclaration(service, `declares.provides[${index}]`, "/")),
    ],
    requires: [
      ...definitions.flatMap((plugin) => plugin.requires),
      ...requires.map((service, index) => resolveDependency(service, `declares.requires[${index}]`)),
    ],
  };
}
