// Shows that packages are versioned independently: in a copy of the repository, a changeset for one package raises its
// version, at most raises packages that depend on it by a patch, and leaves all others as they are.
import { copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { mustRun } from "./run-command.ts";
import { publicPackages, repositoryRoot, type WorkspacePackage, workspacePackages } from "./workspace-packages.ts";

const timeoutMs = 60_000;

/** The names of all packages that need `name`, directly or through others. */
function dependents(name: string, packages: readonly WorkspacePackage[]): Set<string> {
  const found = new Set<string>();
  const queue = [name];
  for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
    for (const { manifest } of packages) {
      const needs = { ...manifest.dependencies, ...manifest.peerDependencies };
      if (current in needs && !found.has(manifest.name)) {
        found.add(manifest.name);
        queue.push(manifest.name);
      }
    }
  }
  return found;
}

async function copyRepository(into: string) {
  const listed = await mustRun("git", ["ls-files", "-z", "--", ".changeset", "*package.json", "pnpm-*.yaml"], {
    cwd: repositoryRoot,
    timeoutMs,
  });
  for (const path of listed.split("\0").filter((name) => name !== "")) {
    mkdirSync(dirname(join(into, path)), { recursive: true });
    copyFileSync(join(repositoryRoot, path), join(into, path));
  }
  symlinkSync(join(repositoryRoot, "node_modules"), join(into, "node_modules"));
  for (const path of globSync(".changeset/*.md", { cwd: into })) rmSync(join(into, path));
  await mustRun("git", ["init", "--quiet", "--initial-branch=main"], { cwd: into, timeoutMs });
}

function versions(root: string): Map<string, string> {
  return new Map(workspacePackages(root).map(({ manifest }) => [manifest.name, manifest.version]));
}

function raised(version: string, by: "minor" | "patch"): string {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return by === "minor" ? `${major}.${minor + 1}.0` : `${major}.${minor}.${patch + 1}`;
}

/** What is wrong after a minor changeset for `name`. */
async function problemsOf(name: string): Promise<string[]> {
  const copy = mkdtempSync(join(tmpdir(), "cpg-changeset-"));
  try {
    await copyRepository(copy);
    const before = versions(copy);
    const needing = dependents(name, workspacePackages(copy));
    writeFileSync(join(copy, ".changeset/dry-run.md"), `---\n"${name}": minor\n---\n\nA dry run.\n`);
    await mustRun(join(repositoryRoot, "node_modules/.bin/changeset"), ["version"], { cwd: copy, timeoutMs });
    const after = versions(copy);
    for (const [other, version] of after) console.log(`  ${other} ${before.get(other)} -> ${version}`);
    return [...before].flatMap(([other, old]) => {
      const allowed =
        other === name ? [raised(old, "minor")] : needing.has(other) ? [old, raised(old, "patch")] : [old];
      const now = after.get(other) ?? "nothing";
      return allowed.includes(now) ? [] : [`${other} went from ${old} to ${now}, expected ${allowed.join(" or ")}`];
    });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const problems: string[] = [];
for (const { manifest } of publicPackages()) {
  console.log(`A minor changeset for ${manifest.name}:`);
  problems.push(...(await problemsOf(manifest.name)));
}
for (const problem of problems) console.error(`FAILED: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
