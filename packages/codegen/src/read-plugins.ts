import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import { brokenNameRule, brokenPathRule, brokenTimeoutRule, brokenVersionRule } from "./field-rules.ts";
import {
  MethodOptionsSchema,
  method as methodOption,
  type PluginOptions,
  PluginOptionsSchema,
  ProvidedServiceSchema,
  plugin as pluginOption,
  RequiredServiceSchema,
} from "./gen/cpg/options/v1/options_pb.ts";
import { defaultPluginName, type GeneratedNames, generatedNames } from "./generated-names.ts";
import type { PluginModel, ProvidedModel, RequiredModel } from "./plugin-model.ts";
import { sourcePosition } from "./source-position.ts";

/** The plugins of one file, and what is wrong with them, one line each: `file:line: rule`. */
export interface ReadPlugins {
  readonly plugins: readonly PluginModel[];
  readonly problems: readonly string[];
}

/** Notes a problem at an option of a service or method, or at itself for an empty path. */
type Complain = (at: DescService | DescMethod, option: readonly number[], rule: string) => void;

/** Reads, completes and checks what a file says of its plugins. */
export function readPlugins(file: DescFile): ReadPlugins {
  const problems: string[] = [];
  const complain: Complain = (at, option, rule) => problems.push(`${sourcePosition(at, option)}: ${rule}`);
  const plugins: PluginModel[] = [];
  const byName = new Map<string, PluginModel>();
  for (const [service, names] of generatedNames(file.services)) {
    const plugin = readPlugin(service, names, complain);
    const other = byName.get(plugin.name);
    if (other !== undefined) {
      complain(
        service,
        optionPath("name"),
        `${service.name} and ${other.service.name} must not both be the plugin "${plugin.name}": set ${field("name")}`,
      );
    }
    byName.set(plugin.name, plugin);
    plugins.push(plugin);
  }
  return { plugins, problems };
}

function readPlugin(service: DescService, names: GeneratedNames, complain: Complain): PluginModel {
  const options = getOption(service, pluginOption);
  const { name = "", version = "1.0.0" } = withoutEmpty(options);
  const plugin = { service, names, name: name || defaultPluginName(service), version };
  const path = optionPath("name");
  if (options.name === "" && brokenNameRule(plugin.name) !== undefined) {
    complain(service, path, `${service.name} gives no name for a plugin: set ${field("name")}`);
  } else {
    check(brokenNameRule(plugin.name), service, path, field("name"), complain);
  }
  check(brokenVersionRule(version), service, optionPath("version"), field("version"), complain);
  const provides = readProvides(plugin, options, complain);
  return {
    ...plugin,
    provides,
    requires: readRequires(service, options, provides, complain),
    timeoutsMs: readMethods(service, complain),
  };
}

function readProvides(
  { service, name, version }: Pick<PluginModel, "service" | "name" | "version">,
  options: PluginOptions,
  complain: Complain,
): readonly ProvidedModel[] {
  if (options.providesNothing) {
    if (options.provides.length > 0) {
      const path = optionPath("providesNothing");
      complain(service, path, `${field("provides_nothing")} must not be set with ${field("provides")}`);
    }
    return [];
  }
  check(brokenPathRule(`/${service.typeName}/`), service, [], `the path of a service that is provided`, complain);
  if (options.provides.length === 0) return [{ type: name, version }];
  const types = new Set<string>();
  return options.provides.map((declared, index) => {
    const at = [...optionPath("provides"), index];
    const provided = { type: declared.type || name, version: declared.version || version };
    const label = `${field("provides")}[${index}]`;
    const { type, version: versionField } = ProvidedServiceSchema.field;
    if (declared.type !== "")
      check(brokenNameRule(provided.type), service, [...at, type.number], `${label}.type`, complain);
    if (declared.version !== "") {
      check(brokenVersionRule(provided.version), service, [...at, versionField.number], `${label}.version`, complain);
    }
    once(types, provided.type, service, at, label, complain);
    return provided;
  });
}

function readRequires(
  service: DescService,
  { requires }: PluginOptions,
  provides: readonly ProvidedModel[],
  complain: Complain,
): readonly RequiredModel[] {
  const types = new Set<string>();
  return requires.map(({ type, minVersion, requiredForStartup = true, watchForChanges }, index) => {
    const at = [...optionPath("requires"), index];
    const label = `${field("requires")}[${index}]`;
    const fields = RequiredServiceSchema.field;
    check(brokenNameRule(type), service, [...at, fields.type.number], `${label}.type`, complain);
    if (minVersion !== "") {
      check(
        brokenVersionRule(minVersion),
        service,
        [...at, fields.minVersion.number],
        `${label}.min_version`,
        complain,
      );
    }
    if (provides.some((provided) => provided.type === type)) {
      complain(
        service,
        [...at, fields.type.number],
        `${label}.type must not be "${type}", which the plugin itself provides`,
      );
    }
    once(types, type, service, at, label, complain);
    return { type, minVersion, requiredForStartup, watchForChanges };
  });
}

/** @returns the time-outs by the methods' names in code. */
function readMethods(service: DescService, complain: Complain): ReadonlyMap<string, number> {
  const timeoutsMs = new Map<string, number>();
  const byLocalName = new Map<string, DescMethod>();
  for (const method of service.methods) {
    const { localName } = method;
    const other = byLocalName.get(localName);
    if (other !== undefined) {
      complain(method, [], `${method.name} and ${other.name} must not both be ${localName} in code: rename one`);
    }
    byLocalName.set(localName, method);
    const trouble = troublesomeNames.get(localName);
    if (trouble !== undefined) complain(method, [], `${method.name} must not be called so: ${trouble}`);
    const { timeoutMs } = getOption(method, methodOption);
    if (timeoutMs === undefined) continue;
    const path = [methodOption.number, MethodOptionsSchema.field.timeoutMs.number];
    check(brokenTimeoutRule(timeoutMs), method, path, `(${methodOption.typeName}).timeout_ms`, complain);
    timeoutsMs.set(localName, timeoutMs);
  }
  return timeoutsMs;
}

const troublesomeNames = new Map([
  ["then", "JavaScript takes an object with a method then for a promise, and await would call it"],
  ["__proto__", "in JavaScript this names an object's prototype"],
]);

function check(
  broken: string | undefined,
  at: DescService | DescMethod,
  path: readonly number[],
  label: string,
  complain: Complain,
): void {
  if (broken !== undefined) complain(at, path, `${label} ${broken}`);
}

function once(
  types: Set<string>,
  type: string,
  service: DescService,
  path: readonly number[],
  label: string,
  complain: Complain,
): void {
  if (types.has(type)) complain(service, path, `${label} must not name "${type}" again`);
  types.add(type);
}

function optionPath(name: keyof typeof PluginOptionsSchema.field): number[] {
  return [pluginOption.number, PluginOptionsSchema.field[name].number];
}

function field(name: string): string {
  return `(${pluginOption.typeName}).${name}`;
}

function withoutEmpty({ name, version }: PluginOptions): { name?: string; version?: string } {
  return { ...(name !== "" && { name }), ...(version !== "" && { version }) };
}
