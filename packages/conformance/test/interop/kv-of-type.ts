import { definePlugin } from "@cpg/core";
import { kvPlugin } from "@cpg/example-kv";

/** A definition of a plugin that provides KV under a type of its own. */
export function kvOfType(type: string) {
  const provides = [{ type, version: "1.0.0" }];
  return definePlugin({ name: type, version: "1.0.0", service: kvPlugin.service, provides });
}
