import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { PluginDefinition } from "./plugin-definition.ts";

/** Plugins by the name under which they are dispensed. */
export type PluginSet = Readonly<Record<string, PluginDefinition>>;

/** A plugin set in which a key that is not its plugin's name fails to compile. */
export type CheckedPluginSet<Plugins extends PluginSet> = {
  readonly [Key in keyof Plugins]: Plugins[Key] extends PluginDefinition<infer Name>
    ? Key extends Name
      ? Plugins[Key]
      : PluginDefinition<Key & string>
    : never;
};

/** One implementation for each plugin of the set: none may lack, none be superfluous. */
export type Implementations<Plugins extends PluginSet> = {
  readonly [Key in keyof Plugins]: ServiceImpl<Plugins[Key]["service"]>;
};

/**
 * Checks a plugin set as a whole: not empty, every key its plugin's name, no service served twice.
 * @throws {TypeError} naming the plugin and the rule.
 */
export function checkPluginSet(plugins: PluginSet): void {
  const entries = Object.entries(plugins);
  if (entries.length === 0) throw new TypeError("plugins must name at least one plugin");
  const nameByPath = new Map<string, string>();
  for (const [key, plugin] of entries) {
    if (plugin === undefined) throw new TypeError(`plugins.${key} must be a plugin definition, got undefined`);
    if (key !== plugin.name) throw new TypeError(`plugins.${key} must have the name "${key}", has "${plugin.name}"`);
    const other = nameByPath.get(plugin.servicePath);
    if (other !== undefined) {
      throw new TypeError(`plugins.${key} and plugins.${other} must not share the path ${plugin.servicePath}`);
    }
    nameByPath.set(plugin.servicePath, key);
  }
}

/** An implementation of any service: a method that is left out answers `unimplemented`. */
export type AnyImplementation = Partial<ServiceImpl<DescService>>;

/**
 * Checks that there is exactly one implementation for each plugin, and that its methods are functions.
 * @returns the implementations by the name of their plugin.
 * @throws {TypeError} naming the implementation and the rule.
 */
export function checkImplementations(
  plugins: PluginSet,
  impls: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, AnyImplementation> {
  const checked = new Map<string, AnyImplementation>();
  for (const [name, plugin] of Object.entries(plugins)) {
    const impl = Object.hasOwn(impls, name) ? impls[name] : undefined;
    if (!isObject(impl)) {
      throw new TypeError(`impls.${name} must be an implementation of ${plugin.service.typeName}, got ${typeof impl}`);
    }
    for (const { localName } of plugin.service.methods) {
      const method = impl[localName];
      if (method !== undefined && typeof method !== "function") {
        throw new TypeError(`impls.${name}.${localName} must be a function, got ${typeof method}`);
      }
    }
    checked.set(name, impl);
  }
  for (const name of Object.keys(impls)) {
    if (!Object.hasOwn(plugins, name)) throw new TypeError(`impls.${name} has no plugin of that name`);
  }
  return checked;
}

/** What its methods take and give is for the compiler to check: they are functions, and that is all there is to see. */
function isObject(impl: unknown): impl is AnyImplementation {
  return typeof impl === "object" && impl !== null;
}
