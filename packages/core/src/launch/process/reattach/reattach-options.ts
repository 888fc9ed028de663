import { isAbsolute } from "node:path";

export interface ReattachOptions {
  /**
   * Where it is noted which plugins run: an absolute path, the same for each run of the host. Made with mode 0700; of
   * another mode, or of another user, it is refused, for the notes hold secrets.
   */
  readonly directory: string;
  /** How long a plugin waits for the next host once its own has ended, in ms. Greater than 0, at most 3 600 000. Default 30 000. */
  readonly withinMs?: number | undefined;
}

export type ResolvedReattach = Required<{
  readonly [Name in keyof ReattachOptions]: Exclude<ReattachOptions[Name], undefined>;
}>;

const maxWithinMs = 3_600_000;

/** @throws {TypeError} {RangeError} naming the option and the rule. */
export function resolveReattach(options: ReattachOptions, transport: "unix" | "tcp"): ResolvedReattach {
  const { directory, withinMs = 30_000 } = options;
  if (typeof directory !== "string" || !isAbsolute(directory) || directory.includes("\0")) {
    throw new TypeError("reattach.directory must be an absolute path");
  }
  if (!(typeof withinMs === "number" && withinMs > 0 && withinMs <= maxWithinMs)) {
    throw new RangeError(`reattach.withinMs must be greater than 0 and at most ${maxWithinMs}, got ${withinMs}`);
  }
  if (transport !== "unix") throw new TypeError('reattach needs transport "unix"');
  return { directory, withinMs };
}
