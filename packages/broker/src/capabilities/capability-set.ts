import { Code, ConnectError } from "@connectrpc/connect";
import semver from "semver";
import type { Capability } from "./capability.ts";

/** What a broker lends, by type and version. */
export interface CapabilitySet {
  readonly all: readonly Capability[];
  get(type: string, version: string): Capability | undefined;
  /**
   * The newest version by semantic version precedence, prereleases among them.
   * @param minVersion "" for any.
   * @throws {ConnectError} `not_found` when there is no such type, or none that is new enough.
   */
  newest(type: string, minVersion: string): Capability;
}

/** @throws {TypeError} when two have the same type and a version of the same precedence, or one is no capability. */
export function createCapabilitySet(capabilities: readonly Capability[]): CapabilitySet {
  const byType = new Map<string, Capability[]>();
  for (const [index, capability] of capabilities.entries()) {
    if (typeof capability !== "object" || capability === null || !("serves" in capability)) {
      throw new TypeError(`capabilities[${index}] must be made by defineCapability or defineHttpCapability`);
    }
    const { type, version } = capability;
    const versions = byType.get(type) ?? [];
    if (versions.some((other) => semver.eq(other.version, version))) {
      throw new TypeError(`capabilities[${index}] must not be ${type} ${version} a second time`);
    }
    byType.set(
      type,
      [...versions, capability].sort((a, b) => semver.rcompare(a.version, b.version)),
    );
  }
  return {
    all: [...byType.values()].flat(),
    get: (type, version) => byType.get(type)?.find((capability) => capability.version === version),
    newest(type, minVersion) {
      const [newest] = byType.get(type) ?? [];
      if (newest === undefined) throw new ConnectError(`this host has no capability ${type}`, Code.NotFound);
      if (minVersion !== "" && semver.lt(newest.version, minVersion)) {
        const message = `this host has ${type} in version ${newest.version} at most, and ${minVersion} is asked for`;
        throw new ConnectError(message, Code.NotFound);
      }
      return newest;
    },
  };
}
