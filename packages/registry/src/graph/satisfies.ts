import { compare, SemVer } from "semver";

/**
 * Whether a version is at least another, by semantic version precedence: prereleases count, as the protocol has it.
 * @throws {TypeError} for what is no version.
 */
export type VersionCheck = (version: string, minVersion: string) => boolean;

/** Remembers what it has parsed: a graph of many plugins has few different versions. */
export function createVersionCheck(): VersionCheck {
  const parsed = new Map<string, SemVer>();
  const parse = (version: string): SemVer => {
    let known = parsed.get(version);
    if (known === undefined) {
      known = new SemVer(version);
      parsed.set(version, known);
    }
    return known;
  };
  return (version, minVersion) => minVersion === "" || compare(parse(version), parse(minVersion)) >= 0;
}
