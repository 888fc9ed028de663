import { existsSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/**
 * What a plugin under Node's permission model may do. What is not listed it may not, but for the network, which stays
 * open: Node's restriction of it covers listening too, Unix sockets included, so that a plugin could not serve.
 * https://nodejs.org/docs/latest-v24.x/api/permissions.html: it keeps a well-meaning program within bounds; it is no
 * sandbox for hostile code.
 */
export interface NodePermissions {
  /**
   * Files and folders it may read, everything below a folder included; true for all. Relative paths start at `cwd`. Added by itself: the folder of the
   * entry file, the folders `node_modules` and the files package.json beside and above it, and the folder of its
   * socket. Packages linked from elsewhere, as in a workspace, have to be listed. Default: nothing more.
   */
  readonly fsRead?: readonly string[] | true | undefined;
  /** Files and folders it may write; true for all. Added by itself: the folder of its socket. Default: nothing more. */
  readonly fsWrite?: readonly string[] | true | undefined;
  /** Default false, as for the three below. */
  readonly childProcess?: boolean | undefined;
  readonly worker?: boolean | undefined;
  readonly addons?: boolean | undefined;
  readonly wasi?: boolean | undefined;
}

/** Node's own names of flags, so that a test can stand in for another version. */
export interface NodeFlags {
  has(flag: string): boolean;
}

const switches = [
  ["childProcess", "--allow-child-process"],
  ["worker", "--allow-worker"],
  ["addons", "--allow-addons"],
  ["wasi", "--allow-wasi"],
] as const;
/** Node 25 and later restrict the network unless they are told not to. */
const netFlag = "--allow-net";

/**
 * @throws {TypeError} for a permission that is neither a list of paths nor true or false, naming it. {RangeError} for a
 * restriction that this Node does not know.
 */
export function checkNodePermissions(
  permissions: NodePermissions,
  flags: NodeFlags = process.allowedNodeEnvironmentFlags,
): void {
  if (!flags.has("--permission")) throw unsupported("permissions", "--permission");
  for (const name of ["fsRead", "fsWrite"] as const) {
    const paths = permissions[name] ?? [];
    if (paths === true) continue;
    if (!Array.isArray(paths) || paths.some((path) => typeof path !== "string" || path === "" || path.includes("\0"))) {
      throw new TypeError(`permissions.${name} must be true or a list of paths`);
    }
  }
  for (const [name, flag] of switches) {
    const value = permissions[name];
    if (value !== undefined && typeof value !== "boolean")
      throw new TypeError(`permissions.${name} must be true or false`);
    // Without the flag Node would not restrict it, whatever was asked for.
    if (value !== true && !flags.has(flag)) throw unsupported(`permissions.${name}`, flag);
  }
}

function unsupported(option: string, flag: string): RangeError {
  return new RangeError(`${option} cannot be restricted by Node ${process.version}: it does not know ${flag}`);
}

export interface ProgramPlace {
  readonly entry: string;
  /** Where relative paths start. */
  readonly cwd: string;
  readonly socketDirectory: string | undefined;
}

/** The flags of Node that grant these permissions to the plugin at `entry`. */
export function permissionFlags(
  permissions: NodePermissions,
  { entry, cwd, socketDirectory }: ProgramPlace,
  flags: NodeFlags = process.allowedNodeEnvironmentFlags,
): string[] {
  const { fsRead = [], fsWrite = [] } = permissions;
  const here = (path: string): string => real(resolve(cwd, path));
  const sockets = socketDirectory === undefined ? [] : [socketDirectory];
  const reads = fsRead === true ? ["*"] : [...programPaths(entry), ...sockets, ...fsRead.map(here)];
  const writes = fsWrite === true ? ["*"] : [...sockets, ...fsWrite.map(here)];
  return [
    "--permission",
    ...new Set(reads.map((path) => `--allow-fs-read=${path}`)),
    ...new Set(writes.map((path) => `--allow-fs-write=${path}`)),
    ...switches.filter(([name]) => permissions[name] === true).map(([, flag]) => flag),
    ...(flags.has(netFlag) ? [netFlag] : []),
  ];
}

/** What Node reads to run `entry`: its folder, and packages and package.json files from there up. */
function programPaths(entry: string): string[] {
  const folder = dirname(real(entry));
  const paths = [folder];
  for (let current = folder; ; current = dirname(current)) {
    for (const name of ["node_modules", "package.json"]) {
      const path = join(current, name);
      if (existsSync(path)) paths.push(path, real(path));
    }
    if (dirname(current) === current) return paths;
  }
}

/** Node checks the path behind the links. */
function real(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
