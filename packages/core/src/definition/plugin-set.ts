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

/**
 * Checks that there is exactly one implementation for each plugin, and that it has the methods of its service.
 * A method may be left out on purpose: it answers `unimplemented`.
 * @throws {TypeError} naming the implementation and the rule.
 */
export function checkImplementations(plugins: PluginSet, impls: Readonly<Record<string, unknown>>): void {
  for (const [name, plugin] of Object.entries(plugins)) {
    const impl = impls[name];
    if (typeof impl !== "object" || impl === null) {
      throw new TypeError(`impls.${name} must be an implementation of ${plugin.service.typeName}, got ${typeof impl}`);
    }
    for (const method of plugin.service.methods) {
      const member: unknown = Reflect.get(impl, method.localName);
      if (member !== undefined && typeof member !== "function") {
        throw new TypeError(`impls.${name}.${method.localName} must be a function, got ${typeof member}`);
      }
    }
  }
  for (const name of Object.keys(impls)) {
    if (!Object.hasOwn(plugins, name)) throw new TypeError(`impls.${name} has no plugin of that name`);
  }
}
