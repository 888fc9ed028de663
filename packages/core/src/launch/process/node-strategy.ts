import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, ConnectError } from "@connectrpc/connect";
import type { LaunchStrategy } from "../launch-strategy.ts";
import { checkNodePermissions, type NodePermissions, permissionFlags } from "./node-permissions.ts";
import { type ProcessOptions, resolveProcessOptions } from "./process-options.ts";
import { checkArguments, checkPlatform } from "./process-strategy.ts";
import { startPlugin } from "./start-plugin.ts";

export interface NodeStrategyOptions extends ProcessOptions {
  /** The program's file. A relative path starts at `cwd`. */
  readonly entry: string | URL;
  readonly args?: readonly string[] | undefined;
  /** Flags for Node itself, before the entry, such as "--max-old-space-size=64". Default: none. */
  readonly nodeArgs?: readonly string[] | undefined;
  /** Runs the plugin under Node's permission model. Default: it may do what the host may. */
  readonly permissions?: NodePermissions | undefined;
}

/**
 * `processStrategy` for a plugin written for Node, run by the Node that runs the host. It has to print the ready line, as
 * `serve` does, unless `ready` is "any".
 * @throws {TypeError} {RangeError} for bad options, naming the option; a restriction this Node does not support is one.
 * {Error} on Windows, which is not supported yet.
 * @example nodeStrategy({ entry: "./kv-plugin.js", permissions: { fsRead: ["./data"], fsWrite: ["./data"] } })
 */
export function nodeStrategy(options: NodeStrategyOptions): LaunchStrategy {
  const { args = [], nodeArgs = [], permissions } = options;
  const entry = options.entry instanceof URL ? fileURLToPath(options.entry) : options.entry;
  checkPlatform();
  if (entry === "") throw new TypeError("entry must not be empty");
  checkArguments("entry", [entry]);
  checkArguments("args", args);
  checkArguments("nodeArgs", nodeArgs);
  if (permissions !== undefined) checkNodePermissions(permissions);
  const resolved = resolveProcessOptions(options, "line");
  const program = {
    command: process.execPath,
    args(place: { readonly directory: string | undefined }): readonly string[] {
      const cwd = resolved.cwd ?? process.cwd();
      const file = resolve(cwd, entry);
      if (!existsSync(file)) throw new ConnectError(`entry ${file} not found`, Code.FailedPrecondition);
      const flags =
        permissions === undefined
          ? []
          : permissionFlags(permissions, { entry: file, cwd, socketDirectory: place.directory });
      return [...flags, ...nodeArgs, file, ...args];
    },
    ...resolved,
  };
  return { kind: "node", launch: (request) => startPlugin(program, request) };
}
