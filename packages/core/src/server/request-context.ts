import type { ContextValues } from "@connectrpc/connect";
import type { NodeServerRequest } from "../listener/node-handler.ts";

/** What sets context values of one HTTP request. */
export interface RequestContextHook {
  contextValues?: ((request: NodeServerRequest, values: ContextValues) => void) | undefined;
}

/**
 * Lets one hook set context values.
 * @throws {TypeError} for a promise: interceptors would run before the values are there. What it rejects with goes to
 * `onError`.
 */
export function setContextValues(
  hook: RequestContextHook,
  request: NodeServerRequest,
  values: ContextValues,
  onError: (error: unknown) => void,
): void {
  const result: unknown = hook.contextValues?.(request, values);
  if (!(result instanceof Promise)) return;
  result.catch(onError);
  throw new TypeError("contextValues must set its values at once, and returned a promise");
}
