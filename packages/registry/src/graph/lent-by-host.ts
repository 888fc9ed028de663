import type { HostCapability } from "@cpg/core";
import type { GraphPlugin } from "./graph-plugin.ts";

/** The host itself in a graph. No plugin can have this id. */
export const HOST_ID = "@host";

/**
 * The host as a plugin that provides what it lends, such as by a broker; but no type that a plugin provides, too: whoever
 * calls that service would not be served by the capability. Empty when nothing remains.
 */
export function lentByHost(
  plugins: readonly Pick<GraphPlugin, "provides">[],
  capabilities: readonly Pick<HostCapability, "type" | "version">[],
): readonly GraphPlugin[] {
  if (capabilities.length === 0) return [];
  const taken = new Set(plugins.flatMap(({ provides = [] }) => provides.map(({ type }) => type)));
  const provides = capabilities.filter(({ type }) => !taken.has(type)).map(({ type, version }) => ({ type, version }));
  return provides.length === 0 ? [] : [{ id: HOST_ID, selfId: "the host", provides }];
}
