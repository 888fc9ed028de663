import { resolve } from "node:path";
import { checkChildEnvironment, DEFAULT_INHERITED } from "./child-environment.ts";
import { type ReattachOptions, type ResolvedReattach, resolveReattach } from "./reattach/reattach-options.ts";

export interface ProcessOptions {
  /** Working directory. Default: the host's at the time of the launch. */
  readonly cwd?: string | undefined;
  /** Variables of the plugin's own. PORT, HOST_URL and the CPG_ variables of the launch are refused. Default: none. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Names of the variables that the plugin gets from the host's environment; a final * stands for any ending. Never the
   * whole environment. Default: PATH, HOME, LANG, LC_*, TZ, TMPDIR.
   */
  readonly inheritEnv?: readonly string[] | undefined;
  /**
   * "unix": a plugin of ours is offered a Unix socket, which no other user can reach, beside PORT. "tcp": PORT only.
   * Default "unix".
   */
  readonly transport?: "unix" | "tcp" | undefined;
  /**
   * What shows that the plugin is ready. "line": the line that `serve` prints. "any": that, or an accepted connection to
   * PORT, as foreign plugins need it; before the plugin listens, PORT is free for any program of this machine. The
   * plugin's first handshake with the host counts in both.
   */
  readonly ready?: "line" | "any" | undefined;
  /**
   * Files and their sha256 in hex, verified just before each launch; relative paths start at `cwd`. It vouches for what
   * is on disk at that moment: not for files that are not listed, nor against somebody who can replace them right after.
   */
  readonly checksum?: Readonly<Record<string, string>> | undefined;
  /** Longest line of output that is kept, in bytes; the rest of it is counted. From 256. Default 65 536. */
  readonly maxLineBytes?: number | undefined;
  /** Log records a second and stream; the lines above that are dropped and counted. From 1. Default 10 000. */
  readonly maxLinesPerSecond?: number | undefined;
  /**
   * Lets the plugin outlive its host for a while, so that the next run of the host finds it and goes on with it: its
   * process, known by its start and by a secret that it has to prove, gets the next host's identity and is not started
   * again. For plugins of ours that listen on the socket they are given, tell GetPluginInfo to anybody there, and do not
   * register themselves; any other goes with its host, or is ended by the next one. A program that is
   * started in another way than before (command, arguments, `cwd`, `env`, checksums) is ended and started anew.
   * Default: it goes with its host.
   */
  readonly reattach?: ReattachOptions | undefined;
}

export type ResolvedProcessOptions = Required<{
  readonly [Name in keyof Omit<ProcessOptions, "cwd" | "reattach">]: Exclude<ProcessOptions[Name], undefined>;
}> & { readonly cwd: string | undefined; readonly reattach: ResolvedReattach | undefined };

/** @throws {TypeError} {RangeError} naming the option and the rule. */
export function resolveProcessOptions(options: ProcessOptions, readyDefault: "line" | "any"): ResolvedProcessOptions {
  const { cwd, env = {}, inheritEnv = DEFAULT_INHERITED, transport = "unix", ready = readyDefault } = options;
  const { checksum = {}, maxLineBytes = 65_536, maxLinesPerSecond = 10_000 } = options;
  checkChildEnvironment(inheritEnv, env);
  if (transport !== "unix" && transport !== "tcp")
    throw new TypeError(`transport must be "unix" or "tcp", got ${transport}`);
  if (ready !== "line" && ready !== "any") throw new TypeError(`ready must be "line" or "any", got ${ready}`);
  for (const [file, sha256] of Object.entries(checksum)) {
    if (!/^[0-9a-f]{64}$/i.test(sha256)) throw new TypeError(`checksum of ${file} must be 64 hex digits`);
  }
  checkWhole("maxLineBytes", maxLineBytes, 256);
  checkWhole("maxLinesPerSecond", maxLinesPerSecond, 1);
  return {
    cwd: cwd === undefined ? undefined : resolve(cwd),
    env: { ...env },
    inheritEnv: [...inheritEnv],
    transport,
    ready,
    checksum: { ...checksum },
    maxLineBytes,
    maxLinesPerSecond,
    reattach: options.reattach && resolveReattach(options.reattach, transport),
  };
}

function checkWhole(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number from ${least}, got ${value}`);
  }
}
