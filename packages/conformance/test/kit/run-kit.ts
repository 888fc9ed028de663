import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { ParseArgsOptionsConfig } from "node:util";
import { type Command, runCommand } from "../../src/kit/command/run-command.ts";

/** Runs a command of the kit as its user does. */
export async function runKit(program: "host.ts" | "plugin.ts", args: readonly string[]) {
  const file = fileURLToPath(new URL(`../../src/kit/command/${program}`, import.meta.url));
  const flags = ["--disable-warning=ExperimentalWarning"];
  const child = spawn(process.execPath, [...flags, file, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code, output, errors };
}

/** The same in this process, which is quicker. */
export async function callKit<Flags extends ParseArgsOptionsConfig>(command: Command<Flags>, args: readonly string[]) {
  const output: string[] = [];
  const errors: string[] = [];
  const code = await runCommand(command, args, {
    log: (line: string) => void output.push(`${line}\n`),
    error: (line: string) => void errors.push(`${line}\n`),
  });
  return { code, output: output.join(""), errors: errors.join("") };
}
