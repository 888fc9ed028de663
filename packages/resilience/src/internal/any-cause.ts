import { ConnectError } from "@connectrpc/connect";

/** Bound on a chain of causes, which may be a circle. */
const maxDepth = 8;

/** Whether it holds for the error or one of its causes. Not for what came over a wire: there, it is only what a peer wrote. */
export function anyCause(error: unknown, holds: (error: Error) => boolean): boolean {
  let reason = error;
  for (let depth = 0; depth < maxDepth && reason instanceof Error; depth++) {
    if (reason instanceof ConnectError && reason.isWireError) return false;
    if (holds(reason)) return true;
    reason = reason.cause;
  }
  return false;
}
