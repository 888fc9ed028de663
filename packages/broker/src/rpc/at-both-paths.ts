import type { ConnectRouter } from "@connectrpc/connect";

/** Where connect-plugin-go looks for the broker. */
export const OTHER_PREFIX = "/broker";

/**
 * Adds what `add` does, and serves it a second time below "/broker": by the same handlers, so with everything that the
 * server does for its RPCs.
 */
export function atBothPaths(router: ConnectRouter, add: (router: ConnectRouter) => void): void {
  const before = router.handlers.length;
  add(router);
  for (const handler of router.handlers.slice(before)) {
    const requestPath = `${OTHER_PREFIX}${handler.requestPath}`;
    // A handler is a function with facts about it.
    const copy: typeof handler = Object.assign((request: Parameters<typeof handler>[0]) => handler(request), handler, {
      requestPath,
    });
    router.handlers.push(copy);
  }
}
