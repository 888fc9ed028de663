import type { HandlerContext } from "@connectrpc/connect";

export interface AdminOptions {
  /**
   * Asked before each call of `cpg.admin.v1.AdminService` reads or does anything, once for a watch. Anything but true
   * refuses with `permission_denied`; so does what takes longer than 10 s or throws, unless that is a ConnectError, which
   * the caller gets as it is. Headers, verified identity and peer are in the context, and the method, to tell reads from
   * operations.
   */
  readonly authorize: (context: HandlerContext) => boolean | Promise<boolean>;
  /** Whether plugins can be restarted and removed, too. Default false: only the state can be read. */
  readonly operations?: boolean | undefined;
  /** Watches at a time; further ones are refused with `resource_exhausted`. Whole number from 1. Default 100. */
  readonly maxWatches?: number | undefined;
}

/** @throws {TypeError} {RangeError} naming the option. */
export function resolveAdminOptions({ authorize, operations = false, maxWatches = 100 }: AdminOptions) {
  if (typeof authorize !== "function") throw new TypeError("admin.authorize must be a function: there is no default");
  if (typeof operations !== "boolean") throw new TypeError("admin.operations must be true or false");
  if (!Number.isSafeInteger(maxWatches) || maxWatches < 1) {
    throw new RangeError(`admin.maxWatches must be a whole number from 1, got ${maxWatches}`);
  }
  return { authorize, operations, maxWatches };
}
