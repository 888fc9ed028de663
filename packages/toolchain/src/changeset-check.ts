// `changeset status` against the newest release: packages that changed since then need a changeset (an empty one if users
// see nothing of it). A release is a commit that writes change logs; before the first one everything counts as changed.
import { mustRun, runCommand } from "./run-command.ts";
import { repositoryRoot } from "./workspace-packages.ts";

const options = { cwd: repositoryRoot, timeoutMs: 60_000 };

async function newestRelease(): Promise<string> {
  const release = await mustRun("git", ["log", "-1", "--format=%H", "--", "packages/*/CHANGELOG.md"], options);
  if (release.trim() !== "") return release.trim();
  const roots = await mustRun("git", ["rev-list", "--max-parents=0", "HEAD"], options);
  return roots.trim().split("\n").at(-1) ?? "HEAD";
}

const { exitCode, output } = await runCommand("changeset", ["status", `--since=${await newestRelease()}`], options);
console.log(output.trim());
process.exitCode = exitCode ?? 1;
