import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** The top of this repository. */
export const repositoryRoot: string = resolve(import.meta.dirname, "../../..");

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface WorkspacePackage {
  readonly directory: string;
  readonly manifest: Manifest;
}

export function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
}

/** All packages and examples, by name. */
export function workspacePackages(root = repositoryRoot): WorkspacePackage[] {
  return globSync(["packages/*/package.json", "examples/*/package.json", "examples/*/*/package.json"], { cwd: root })
    .filter((path) => !path.includes("node_modules"))
    .map((path) => dirname(join(root, path)))
    .filter((directory) => existsSync(directory))
    .map((directory) => ({ directory, manifest: readManifest(directory) }))
    .toSorted((a, b) => a.manifest.name.localeCompare(b.manifest.name));
}

/** Those that users can install. */
export function publicPackages(root = repositoryRoot): WorkspacePackage[] {
  return workspacePackages(root).filter(({ manifest }) => manifest.private !== true);
}
