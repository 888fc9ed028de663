import { dirname, resolve } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { type LaunchStrategy, nodeStrategy, type PluginSet, processStrategy } from "@cpg/core";
import { readTextFile } from "../../discovery/read-text-file.ts";
import { checkPlugins } from "../add-plugins.ts";
import { checkPlatformPlugin } from "../check-platform-plugin.ts";
import type { PlatformOptions } from "../platform-options.ts";
import type { PlatformPlugin } from "../platform-plugin.ts";
import type { PlatformFile, PlatformFilePlugin } from "./platform-file.ts";
import { parsePlatformFile } from "./platform-file-schema.ts";

/** What a configuration file says, for `createPlatform`. */
export type PlatformConfig = Pick<PlatformOptions, "host" | "startConcurrency" | "maxPlugins"> & {
  readonly plugins: readonly PlatformPlugin[];
};

export interface ReadConfigOptions {
  /** The definitions that the plugins of the file serve, by the names that it uses. Default: none. */
  readonly definitions?: PluginSet | undefined;
}

/**
 * Reads the configuration of a platform from a JSON file. What a file cannot say, such as an admission policy, is added by
 * whoever calls: the result is a plain object.
 * @throws {ConnectError} naming the file: `not_found` when it is not there, `unavailable` when it cannot be read, `invalid_argument`, naming the path to the
 * value and the rule, when it is not right.
 * @example
 * const config = await readPlatformConfig("platform.json", { definitions: { kv } });
 * await using platform = await createPlatform({ ...config, admin });
 */
export async function readPlatformConfig(file: string, options: ReadConfigOptions = {}): Promise<PlatformConfig> {
  const { definitions = {} } = options;
  const folder = dirname(resolve(file));
  const json = await readTextFile(file).catch((reason: unknown) => {
    throw unreadable(file, reason);
  });
  try {
    const { host, startConcurrency, maxPlugins, plugins = [] } = parsePlatformFile(json);
    const made: PlatformPlugin[] = [];
    for (const [index, entry] of plugins.entries()) {
      const field = `plugins[${index}]`;
      made.push(checked(field, await makePlugin(field, entry, { folder, definitions })));
    }
    checkPlugins(made);
    return { host: host && hostOptions(host, folder), startConcurrency, maxPlugins, plugins: made };
  } catch (reason) {
    const why = reason instanceof ConnectError ? reason.rawMessage : reason instanceof Error ? reason.message : reason;
    const code = reason instanceof ConnectError ? reason.code : Code.InvalidArgument;
    throw new ConnectError(`${file}: ${why}`, code, undefined, undefined, reason);
  }
}

/** Names the plugin, whose rules know only its parts. */
function checked(field: string, plugin: PlatformPlugin): PlatformPlugin {
  try {
    checkPlatformPlugin(field, plugin);
    return plugin;
  } catch (reason) {
    const why =
      reason instanceof ConnectError ? reason.rawMessage : String(reason instanceof Error ? reason.message : reason);
    throw new TypeError(why.startsWith(field) ? why : `${field}.${why}`, { cause: reason });
  }
}

interface Surroundings {
  readonly folder: string;
  readonly definitions: PluginSet;
}

function hostOptions({ listen, ...host }: NonNullable<PlatformFile["host"]>, folder: string): PlatformConfig["host"] {
  if (listen === undefined || !("socketPath" in listen)) return { ...host, listen };
  return { ...host, listen: { ...listen, socketPath: resolve(folder, listen.socketPath) } };
}

async function makePlugin(field: string, entry: PlatformFilePlugin, around: Surroundings): Promise<PlatformPlugin> {
  const { id, optional, restart, probe, readyTimeoutMs, requires } = entry;
  const facts = { id, optional, restart, probe, readyTimeoutMs };
  if (entry.endpoint !== undefined) {
    const { endpoint, shutdown, provides } = entry;
    return { ...facts, endpoint, shutdown, provides, requires, attach: await attachOptions(field, entry, around) };
  }
  const strategy = launchStrategy(field, entry, around);
  if (entry.foreign !== undefined) return { ...facts, strategy, foreign: entry.foreign };
  return { ...facts, strategy, requires, plugins: servedBy(field, entry, around) };
}

function launchStrategy(field: string, entry: PlatformFilePlugin, { folder }: Surroundings): LaunchStrategy {
  const { node, process } = entry;
  const how = node === undefined ? "process" : "node";
  const cwd = resolve(folder, (node ?? process)?.cwd ?? ".");
  try {
    const given = (node ?? process)?.reattach;
    const reattach = given && { ...given, directory: resolve(folder, given.directory) };
    if (node !== undefined) return nodeStrategy({ ...node, cwd, reattach, entry: resolve(folder, node.entry) });
    const { command = "", ...options } = process ?? {};
    // A name without a slash is looked up in PATH.
    return processStrategy({
      ...options,
      cwd,
      reattach,
      command: command.includes("/") ? resolve(folder, command) : command,
    });
  } catch (reason) {
    throw new TypeError(`${field}.${how}: ${reason instanceof Error ? reason.message : reason}`, { cause: reason });
  }
}

function servedBy(field: string, { serves = [] }: PlatformFilePlugin, { definitions }: Surroundings): PluginSet {
  return Object.fromEntries(
    serves.map((name, index) => {
      const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
      if (definition !== undefined) return [name, definition];
      const known = Object.keys(definitions).join(", ") || "none";
      throw new TypeError(`${field}.serves[${index}]: the program gives no definition ${name}, but: ${known}`);
    }),
  );
}

async function attachOptions(field: string, { attach }: PlatformFilePlugin, { folder }: Surroundings) {
  if (attach === undefined) return undefined;
  const { controlTokenFile, ...options } = attach;
  if (controlTokenFile === undefined) return options;
  try {
    const controlToken = (await readTextFile(resolve(folder, controlTokenFile))).trim();
    if (controlToken.length < 32) throw new TypeError("it has fewer than 32 characters");
    return { ...options, controlToken };
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new TypeError(`${field}.attach.controlTokenFile: ${why}`, { cause: reason });
  }
}

function unreadable(file: string, reason: unknown): ConnectError {
  const why = reason instanceof Error ? reason.message : String(reason);
  const isMissing = reason instanceof Error && "code" in reason && reason.code === "ENOENT";
  const code = isMissing ? Code.NotFound : Code.Unavailable;
  return new ConnectError(`cannot read ${file}: ${why}`, code, undefined, undefined, reason);
}
