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
  /** Default: nothing. */
  readonly provides?: readonly ServiceDeclaration[] | undefined;
  /** Default: nothing. */
  readonly requires?: readonly ServiceDependency[] | undefined;
  /** Time-outs in ms by the name that a method has in code. Default: none. */
  readonly timeoutsMs?: Readonly<Record<string, number>> | undefined;
}

/**
 * The plugin that a generated file defines. It has a signature of its own, so that `definePlugin` may change.
 * @throws as `definePlugin`.
 */
export function generatedPlugin<const Name extends string, Service extends DescService>(
  service: Service,
  { name, version, provides, requires, timeoutsMs }: GeneratedPlugin<Name>,
): PluginDefinition<Name, Service> {
  const timeouts: object | undefined = timeoutsMs; // the compiler cannot see that they are those of Service
  return definePlugin({ name, version, service, provides, requires, timeoutsMs: timeouts });
}
