import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { systemClock } from "@cpg/resilience";

/** What a child process writes to stdout, line by line. */
export interface ChildLines {
  /**
   * Waits until there was a line for each pattern, in any order, among those that came since the last such wait.
   * @throws {Error} when they did not come within the bound, or the child ended.
   */
  next(...patterns: readonly RegExp[]): Promise<void>;
}

const waitMs = 30_000;
/** Lines that nobody has waited for; beyond it the oldest are dropped. */
const maxUnread = 1_000;

export function childLines(name: string, child: ChildProcess, onLine?: (line: string) => void): ChildLines {
  const unread: string[] = [];
  let ended = false;
  let wake = (): void => {};
  if (child.stdout === null) throw new Error("stdout of the child must be a pipe");
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    onLine?.(line);
    unread.push(line);
    if (unread.length > maxUnread) unread.shift();
    wake();
  });
  lines.once("close", () => {
    ended = true;
    wake();
  });

  async function find(patterns: readonly RegExp[], signal: AbortSignal): Promise<void> {
    const missing = [...patterns];
    while (missing.length > 0) {
      const line = unread.shift();
      const found = line === undefined ? -1 : missing.findIndex((pattern) => pattern.test(line));
      if (found >= 0) missing.splice(found, 1);
      if (line !== undefined) continue;
      if (ended) throw new Error(`${name} ended before it wrote ${missing.join(", ")}`);
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    async next(...patterns) {
      const timeout = new AbortController();
      const found = new AbortController();
      const giveUp = systemClock.sleep(waitMs, found.signal).then(
        () => {
          timeout.abort(new Error(`${name} did not write ${patterns.join(", ")} within ${waitMs} ms`));
          wake();
        },
        () => {}, // found
      );
      try {
        await find(patterns, timeout.signal);
      } finally {
        found.abort("found");
        await giveUp;
      }
    },
  };
}
