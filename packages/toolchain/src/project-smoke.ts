import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@cpg/resilience";
import { mustRun, runCommand } from "./run-command.ts";

const installTimeoutMs = 180_000;
const commandTimeoutMs = 180_000;
const startTimeoutMs = 60_000;

/** Packages as they would be published, by name: where their tarballs are. */
export type Tarballs = ReadonlyMap<string, string>;

/** What a page shows of a project: how it is made, and run at the end. */
export interface ShownProject {
  /** As the page shows them; each is run in the folder that "cd" entered. */
  readonly commands: readonly string[];
  /** What the last command prints, once it has done its work. */
  readonly prints: readonly RegExp[];
  /** Whether the last command goes on until it is told to end. Otherwise it ends by itself, with 0. */
  readonly serves: boolean;
}

export interface ProjectSmoke {
  /** One after the other, all from the same folder. */
  readonly projects: readonly ShownProject[];
  readonly tarballs: Tarballs;
  /** A folder that does not exist yet. */
  readonly directory: string;
}

/** What "build" leaves to taste, beside its own strict settings. */
const strictest = "npx tsc --declaration --isolatedDeclarations --allowUnreachableCode false --allowUnusedLabels false";

/** The commands of the shell blocks before a page's second part, one list for each block. */
export function shownCommands(markdown: string): readonly (readonly string[])[] {
  const [, first = ""] = markdown.split("\n## ");
  const blocks = [...first.matchAll(/```sh\n([\s\S]*?)```/g)];
  return blocks.map(([, block = ""]) => block.split("\n").filter((line) => line !== ""));
}

/**
 * Runs commands as typed in an empty folder. The one thing that is done beside them: what would come from the registry as a
 * package of ours comes from its tarball.
 */
export async function smokeProjects({ projects, tarballs, directory }: ProjectSmoke): Promise<void> {
  mkdirSync(directory);
  const quiet = { npm_config_prefer_offline: "true", npm_config_audit: "false", npm_config_fund: "false" };
  const env = { ...quiet, npm_config_update_notifier: "false", NO_COLOR: "1", PORT: "0" };
  const codegen = tarballs.get("@cpg/codegen") ?? "";
  await mustRun("npm", ["install", codegen], { cwd: directory, timeoutMs: installTimeoutMs, env });
  for (const { commands, prints, serves } of projects) {
    let cwd = directory;
    const last = commands.at(-1);
    if (last === undefined) throw new Error("the page does not show the commands any more");
    for (const command of commands) {
      const folder = /^cd (\S+)$/.exec(command)?.[1];
      const sh = (line: string) => mustRun("sh", ["-c", line], { cwd, timeoutMs: commandTimeoutMs, env });
      if (folder !== undefined) {
        cwd = join(cwd, folder);
        useTarballs(join(cwd, "package.json"), tarballs);
      } else if (command !== last) await sh(command);
      else if (serves) await runUntil(command, prints, cwd, env);
      else await runToEnd(command, prints, cwd, env);
      if (command === "npm run build") await sh(strictest);
      console.log(`  ${command}`);
    }
  }
}

function useTarballs(file: string, tarballs: Tarballs): void {
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  const direct = new Set<string>();
  for (const group of ["dependencies", "devDependencies"]) {
    for (const name of Object.keys(manifest[group])) {
      const tarball = tarballs.get(name);
      if (tarball === undefined) continue;
      manifest[group][name] = `file:${tarball}`;
      direct.add(name);
    }
  }
  const others = [...tarballs].filter(([name]) => !direct.has(name));
  manifest.overrides = Object.fromEntries(others.map(([name, tarball]) => [name, `file:${tarball}`]));
  writeFileSync(file, JSON.stringify(manifest, undefined, 2));
}

/** Runs a command that has to end with 0, and to have printed something. */
async function runToEnd(command: string, prints: readonly RegExp[], cwd: string, env: Record<string, string>) {
  const { exitCode, output } = await runCommand("sh", ["-c", command], { cwd, timeoutMs: startTimeoutMs, env });
  if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode ?? "nothing, within its time"}\n${output}`);
  const missing = prints.find((pattern) => !pattern.test(output));
  if (missing !== undefined) throw new Error(`${command} did not print ${missing}\n${output}`);
}

/** Runs a command until it has printed something, and ends it if it does not end by itself. */
async function runUntil(command: string, prints: readonly RegExp[], cwd: string, env: Record<string, string>) {
  const child = spawn("sh", ["-c", command], {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  const timer = new AbortController();
  let output = "";
  const printed = new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += String(chunk);
        if (prints.every((pattern) => pattern.test(output))) resolve();
      });
    }
    closed.then(() => reject(new Error(`${command} ended and did not print ${prints.join(", ")}\n${output}`)), reject);
    systemClock.sleep(startTimeoutMs, timer.signal).then(
      () => reject(new Error(`${command} did not print ${prints.join(", ")} within ${startTimeoutMs} ms\n${output}`)),
      () => {}, // it did
    );
  });
  try {
    await printed;
  } finally {
    timer.abort("done");
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    await closed;
  }
}
