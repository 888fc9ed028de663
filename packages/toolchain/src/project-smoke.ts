import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@cpg/resilience";
import { mustRun } from "./run-command.ts";

const installTimeoutMs = 180_000;
const commandTimeoutMs = 120_000;
const startTimeoutMs = 60_000;

/** Packages as they would be published, by name: where their tarballs are. */
export type Tarballs = ReadonlyMap<string, string>;

export interface ProjectSmoke {
  /** Commands, as a page shows them; each that is written to the folder that "cd" entered. */
  readonly commands: readonly string[];
  /** What the last command prints, once it has done its work. */
  readonly prints: RegExp;
  readonly tarballs: Tarballs;
  /** A folder that does not exist yet. */
  readonly directory: string;
}

/** The commands of the first shell block of a page. */
export function shownCommands(markdown: string): readonly string[] {
  const [, block = ""] = /```sh\n([\s\S]*?)```/.exec(markdown) ?? [];
  return block.split("\n").filter((line) => line !== "");
}

/**
 * Runs commands as typed in an empty folder. The one thing that is done beside them: what would come from the registry as a
 * package of ours comes from its tarball.
 */
export async function smokeProject({ commands, prints, tarballs, directory }: ProjectSmoke): Promise<void> {
  mkdirSync(directory);
  const quiet = { npm_config_prefer_offline: "true", npm_config_audit: "false", npm_config_fund: "false" };
  const env = { ...quiet, npm_config_update_notifier: "false", NO_COLOR: "1", PORT: "0" };
  const codegen = tarballs.get("@cpg/codegen") ?? "";
  await mustRun("npm", ["install", codegen], { cwd: directory, timeoutMs: installTimeoutMs, env });
  let cwd = directory;
  const last = commands.at(-1);
  for (const command of commands) {
    const folder = /^cd (\S+)$/.exec(command)?.[1];
    if (folder !== undefined) {
      cwd = join(cwd, folder);
      useTarballs(join(cwd, "package.json"), tarballs);
    } else if (command === last) await runUntil(command, prints, cwd, env);
    else await mustRun("sh", ["-c", command], { cwd, timeoutMs: commandTimeoutMs + installTimeoutMs, env });
    console.log(`  ${command}`);
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

/** Runs a command until it has printed something, and ends it if it does not end by itself. */
async function runUntil(command: string, prints: RegExp, cwd: string, env: Record<string, string>): Promise<void> {
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
        if (prints.test(output)) resolve();
      });
    }
    closed.then(() => reject(new Error(`${command} ended and did not print ${prints}\n${output}`)), reject);
    systemClock.sleep(startTimeoutMs, timer.signal).then(
      () => reject(new Error(`${command} did not print ${prints} within ${startTimeoutMs} ms\n${output}`)),
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
