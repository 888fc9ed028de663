import type { LaunchStrategy } from "../launch-strategy.ts";
import { type ProcessOptions, resolveProcessOptions } from "./process-options.ts";
import { startPlugin } from "./start-plugin.ts";

export interface ProcessStrategyOptions extends ProcessOptions {
  /** The program: a path, or a name that is looked up in the PATH the plugin gets. A relative path starts at `cwd`. */
  readonly command: string;
  readonly args?: readonly string[] | undefined;
}

/**
 * Runs a plugin as a child process, in a process group of its own that a guardian ends should the host die.
 *
 * The plugin gets PORT, a free port of 127.0.0.1, always; unless `transport` is "tcp" CPG_SOCKET, a Unix socket to listen
 * on instead; CPG_CONTROL_TOKEN and CPG_READY_LINE; HOST_URL if the launch names one; and from the host's environment
 * only what `inheritEnv` lists. Its output becomes log records; it reads nothing from stdin.
 *
 * For POSIX systems; a child that leaves its process group is out of reach.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {Error} on Windows, which is not supported yet.
 * @example processStrategy({ command: "/usr/local/bin/kv-plugin", inheritEnv: ["PATH", "HOME"] })
 */
export function processStrategy(options: ProcessStrategyOptions): LaunchStrategy {
  const { command, args = [] } = options;
  checkPlatform();
  checkArguments("command", [command]);
  checkArguments("args", args);
  const program = { command, args: () => args, ...resolveProcessOptions(options, "any") };
  return { kind: "process", launch: (request) => startPlugin(program, request) };
}

/** @throws {TypeError} naming the option. */
export function checkArguments(option: string, values: readonly string[]): void {
  for (const value of values) {
    if (typeof value !== "string" || value.includes("\0"))
      throw new TypeError(`${option} must be a string without NUL`);
  }
  if (option === "command" && values.includes("")) throw new TypeError("command must not be empty");
}

/** @throws {Error} where there are no process groups. */
export function checkPlatform(platform: NodeJS.Platform = process.platform): void {
  if (platform === "win32") throw new Error("plugins as child processes are not supported on Windows yet");
}
