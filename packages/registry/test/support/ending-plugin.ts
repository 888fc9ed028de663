import { definePlugin } from "@cpg/core";
import { RelayService } from "./relay-service.ts";

/** A chain of plugins, in which each needs the one before. */
export const endingPlugins: readonly string[] = ["first", "last"];

export function defineEndingPlugin(id: string) {
  const before = endingPlugins[endingPlugins.indexOf(id) - 1];
  return definePlugin({
    name: id,
    version: "1.0.0",
    service: RelayService,
    provides: [{ type: id, version: "1.0.0" }],
    requires: before === undefined ? [] : [{ type: before }],
  });
}
