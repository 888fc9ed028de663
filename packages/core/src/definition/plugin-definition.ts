import type { DescService } from "@bufbuild/protobuf";
import { checkEndpointPath, checkMinVersion, checkName, checkVersion } from "../protocol/field-rules.ts";
import { MAX_TIMER_MS } from "../wire/call-transport-options.ts";

/** A service that a plugin offers to other plugins through a host. */
export interface ServiceDeclaration {
  /** For example "logger". */
  readonly type: string;
  /** Semantic version. */
  readonly version: string;
  /** Where the plugin serves it. Default: the path of the plugin's Connect service. */
  readonly path?: string | undefined;
}

/** A service that a plugin needs from other plugins through a host. */
export interface ServiceDependency {
  readonly type: string;
  /** Least version that will do, by semantic version precedence. Default: any. */
  readonly minVersion?: string | undefined;
  /** The plugin cannot start without it. Default true. */
  readonly requiredForStartup?: boolean | undefined;
  /** The plugin follows changes of its providers. Default false. */
  readonly watchForChanges?: boolean | undefined;
}

/** A declaration with its defaults filled in. */
export interface ResolvedDeclaration extends ServiceDeclaration {
  readonly path: string;
}

/** A dependency with its defaults filled in. */
export interface ResolvedDependency extends ServiceDependency {
  readonly minVersion: string;
  readonly requiredForStartup: boolean;
  readonly watchForChanges: boolean;
}

export interface PluginOptions<Name extends string, Service extends DescService> {
  /** Name under which hosts dispense the plugin: a letter, then letters, digits, "_", "." or "-"; at most 128 bytes. */
  readonly name: Name;
  /** Semantic version of the plugin, without build metadata. */
  readonly version: string;
  /** The Connect service that the plugin implements. */
  readonly service: Service;
  /** What it offers to other plugins. Default: nothing. */
  readonly provides?: readonly ServiceDeclaration[] | undefined;
  /** What it needs of other plugins. Default: nothing. */
  readonly requires?: readonly ServiceDependency[] | undefined;
  /**
   * Time that a call of a method may take when its caller names none, in ms, by the method's name in code; of a stream,
   * the whole of it. A whole number from 1 to 2147483647. Default: none, then `callTimeoutMs` of the client holds.
   */
  readonly timeoutsMs?: MethodTimeouts<Service> | undefined;
}

/** Milliseconds by the name that a method has in code. */
export type MethodTimeouts<Service extends DescService> = {
  readonly [Method in keyof Service["method"]]?: number | undefined;
};

/** What both sides know of a plugin. Made by `definePlugin`. */
export interface PluginDefinition<Name extends string = string, Service extends DescService = DescService> {
  readonly name: Name;
  readonly version: string;
  readonly service: Service;
  /** Path of the service, "/package.Service/". */
  readonly servicePath: string;
  readonly provides: readonly ResolvedDeclaration[];
  readonly requires: readonly ResolvedDependency[];
  /** Default time-outs of its methods in ms, by the method's name in code. */
  readonly timeoutsMs: Readonly<Record<string, number>>;
}

/**
 * Defines a plugin: its name, its version and the Connect service it implements. Host and plugin share the result, and
 * the compiler holds both to it.
 * @throws {ConnectError} `invalid_argument` naming the field that breaks a rule. {TypeError} {RangeError} for time-outs.
 * @example
 * const kv = definePlugin({ name: "kv", version: "1.0.0", service: KVService });
 */
export function definePlugin<const Name extends string, Service extends DescService>(
  options: PluginOptions<Name, Service>,
): PluginDefinition<Name, Service> {
  const { name, version, service, provides = [], requires = [], timeoutsMs = {} } = options;
  checkName("name", name);
  checkVersion("version", version);
  const servicePath = `/${service.typeName}/`;
  return Object.freeze({
    name,
    version,
    service,
    servicePath,
    provides: provides.map((declaration, index) => resolveDeclaration(declaration, `provides[${index}]`, servicePath)),
    requires: requires.map((dependency, index) => resolveDependency(dependency, `requires[${index}]`)),
    timeoutsMs: resolveTimeouts(service, timeoutsMs),
  });
}

/** @throws {TypeError} {RangeError} naming the method and the rule. */
function resolveTimeouts(
  service: DescService,
  timeoutsMs: Readonly<Record<string, number | undefined>>,
): Readonly<Record<string, number>> {
  const resolved: Record<string, number> = {};
  for (const [name, timeoutMs] of Object.entries(timeoutsMs)) {
    if (timeoutMs === undefined) continue;
    if (!service.methods.some(({ localName }) => localName === name)) {
      throw new TypeError(`timeoutsMs.${name} names no method of ${service.typeName}`);
    }
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMER_MS) {
      throw new RangeError(`timeoutsMs.${name} must be a whole number from 1 to ${MAX_TIMER_MS}, got ${timeoutMs}`);
    }
    resolved[name] = timeoutMs;
  }
  return Object.freeze(resolved);
}

/** @throws {ConnectError} `invalid_argument` naming the field that breaks a rule. */
export function resolveDeclaration(
  { type, version, path }: ServiceDeclaration,
  field: string,
  servicePath: string,
): ResolvedDeclaration {
  checkName(`${field}.type`, type);
  checkVersion(`${field}.version`, version);
  const resolved = path ?? servicePath;
  checkEndpointPath(`${field}.path`, resolved);
  return Object.freeze({ type, version, path: resolved });
}

/** @throws {ConnectError} `invalid_argument` naming the field that breaks a rule. */
export function resolveDependency(
  { type, minVersion = "", requiredForStartup = true, watchForChanges = false }: ServiceDependency,
  field: string,
): ResolvedDependency {
  checkName(`${field}.type`, type);
  checkMinVersion(`${field}.minVersion`, minVersion);
  return Object.freeze({ type, minVersion, requiredForStartup, watchForChanges });
}
