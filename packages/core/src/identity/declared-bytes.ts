import type { DeclaredServices } from "./runtime-identity.ts";

/** Of an entry beside its texts: an object with its fields and its place in a list. */
const entryBytes = 128;

/** About how much memory declarations hold. */
export function declaredBytes({ provides, requires }: DeclaredServices): number {
  let bytes = 0;
  for (const { type, version, path = "" } of provides) bytes += entryBytes + type.length + version.length + path.length;
  for (const { type, minVersion = "" } of requires) bytes += entryBytes + type.length + minVersion.length;
  return bytes;
}
