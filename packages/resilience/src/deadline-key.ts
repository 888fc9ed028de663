import { type ContextKey, createContextKey, type HandlerContext } from "@connectrpc/connect";

/** When a call on a server has to end. */
export interface CallDeadline {
  /** The time that is left, in ms; negative when it is over. */
  leftMs(): number;
}

/** The deadline of a call, in the context values of a server with `serverDeadline`. Undefined: it has none, or no such server. */
export const deadlineKey: ContextKey<CallDeadline | undefined> = createContextKey<CallDeadline | undefined>(undefined, {
  description: "deadline of the call",
});

/**
 * The time that a handler has left, in ms; undefined: no limit. Like `context.timeoutMs()`, which knows what the caller
 * asks for, but not the default and the maximum of the server.
 */
export function timeLeftMs(context: Pick<HandlerContext, "values" | "timeoutMs">): number | undefined {
  const ownMs = context.values.get(deadlineKey)?.leftMs();
  const askedMs = context.timeoutMs();
  if (ownMs === undefined || askedMs === undefined) return ownMs ?? askedMs;
  return Math.min(ownMs, askedMs);
}
