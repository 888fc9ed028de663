import type { DescService } from "@bufbuild/protobuf";
import {
  definePlugin,
  type PluginDefinition,
  type ServiceDeclaration,
  type ServiceDependency,
} from "../definition/plugin-definition.ts";

/** What a .proto says of a plugin. */
export interface GeneratedPlugin<Name extends string> {
  readonly name: Name;
  readonly version: string;
  readonly provides: readonly ServiceDeclaration[];
  readonly requires: readonly ServiceDependency[];
  /** Time-outs in ms by the name that a method has in code. */
  readonly timeoutsMs: Readonly<Record<string, number>>;
}

/**
 * The plugin that a generated file defines. It has a signature of its own, so that `definePlugin` may change.
 * @throws as `definePlugin`.
 */
export function generatedPlugin<const Name extends string, Service extends DescService>(
  service: Service,
  { name, version, provides, requires, timeoutsMs }: GeneratedPlugin<Name>,
): PluginDefinition<Name, Service> {
  const known: object = timeoutsMs;
  return definePlugin({ name, version, service, provides, requires, timeoutsMs: known });
}
