// Fails when a .proto file breaks programs that were built against an older one (buf, category FILE of buf.yaml).
//
// Compared with, each where it exists:
// - the newest release of @cpg/core, which ships the files: its tag is the promise;
// - the commit where this branch left main (origin/main, else main), for work that is not on main yet;
// - the parent of the newest commit that touched a .proto file, for a clone of main itself, where "main" is what is being
//   checked and would be compared with itself.
// The very first commit has none of them.
import { mustRun, runCommand } from "./run-command.ts";
import { repositoryRoot } from "./workspace-packages.ts";

const options = { cwd: repositoryRoot, timeoutMs: 60_000 };

/** First line that git prints; undefined when it fails or prints nothing. */
async function git(...args: string[]): Promise<string | undefined> {
  const { exitCode, stdout } = await runCommand("git", args, options);
  const [line = ""] = stdout.trim().split("\n");
  return exitCode === 0 && line !== "" ? line : undefined;
}

async function references(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const tag = await git("tag", "--list", "--sort=-v:refname", "@cpg/core@*", "--merged", "HEAD");
  if (tag !== undefined) found.set((await git("rev-parse", `${tag}^{commit}`)) ?? tag, `release ${tag}`);
  const head = await git("rev-parse", "HEAD");
  for (const main of ["origin/main", "main"]) {
    const base = await git("merge-base", "HEAD", main);
    if (base === undefined) continue;
    const isClean = (await git("status", "--porcelain", "--", "*.proto")) === undefined;
    if (base !== head || !isClean) found.set(base, `where this work left ${main}`);
    break;
  }
  const newest = await git("log", "-1", "--format=%H", "--", "*.proto");
  const parent = newest && (await git("rev-parse", "--verify", "--quiet", `${newest}^`));
  if (newest && parent) found.set(parent, `before the newest change of a .proto file, ${newest.slice(0, 9)}`);
  return found;
}

const modules = (await mustRun("buf", ["config", "ls-modules", "--format", "path"], options)).trim().split("\n");
const compareWith = await references();
if (compareWith.size === 0) console.log("No older .proto files to compare with.");
let failures = 0;
for (const [commit, what] of compareWith) {
  console.log(`Against ${commit.slice(0, 9)}, ${what}:`);
  for (const module of modules) {
    if ((await git("ls-tree", "-r", "--name-only", commit, "--", module)) === undefined) {
      console.log(`  ${module}: not there yet`);
      continue;
    }
    const against = `.git#ref=${commit},subdir=${module}`;
    const { exitCode, output } = await runCommand("buf", ["breaking", module, "--against", against], options);
    failures += exitCode === 0 ? 0 : 1;
    console.log(exitCode === 0 ? `  ${module}: breaks nobody` : `  ${module}: FAILED\n${output}`);
  }
}
process.exitCode = failures === 0 ? 0 : 1;
