import { spawn } from "node:child_process";
import { once } from "node:events";
import { systemClock } from "@cpg/resilience";

export interface CommandOptions {
  readonly cwd: string;
  /** After this the command and the processes of its group are killed and the run counts as failed. */
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export interface CommandResult {
  /** undefined: it ran into its limit. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** stdout and stderr as they came. */
  readonly output: string;
}

/** Runs a command to its end, without stdin. Rejects only if it cannot be started. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const { cwd, timeoutMs, env } = options;
  const child = spawn(command, args, {
    cwd,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const all: Buffer[] = [];
  const out: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    all.push(chunk);
    out.push(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    all.push(chunk);
  });
  const ended = new AbortController();
  let timedOut = false;
  const limit = systemClock.sleep(timeoutMs, ended.signal).then(
    () => {
      timedOut = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    },
    () => {}, // it ended in time
  );
  try {
    const [code] = await once(child, "close");
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString("utf8");
    return { exitCode: timedOut ? undefined : (code ?? 1), stdout: text(out), output: text(all) };
  } finally {
    ended.abort();
    await limit;
  }
}

/** Like `runCommand`, for commands that have to succeed. @throws {Error} with the command and all it printed. */
export async function mustRun(command: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { exitCode, stdout, output } = await runCommand(command, args, options);
  if (exitCode === 0) return stdout;
  const end = exitCode === undefined ? `was stopped after ${options.timeoutMs / 1000} s` : `ended with ${exitCode}`;
  throw new Error(`${[command, ...args].join(" ")} ${end} in ${options.cwd}\n${output}`);
}
