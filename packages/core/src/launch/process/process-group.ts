import type { Clock } from "@cpg/resilience";

/** Sends a signal to every member of a group; signal 0 only looks. False when nobody is there to get it. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pgid, signal);
    return true;
  } catch (error) {
    // EPERM: somebody is there whom we may not signal, such as a member that changed its user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

const firstPauseMs = 1;
const longestPauseMs = 50;
const attempts = 30;

/**
 * Waits until nobody is left in a group that was sent SIGKILL; there is no event for that. Gives up after about one
 * second: what is listed then are zombies whose new parent does not reap them, or processes stuck in the kernel.
 */
export async function groupGone(pgid: number, clock: Clock): Promise<void> {
  let pauseMs = firstPauseMs;
  for (let attempt = 0; attempt < attempts && signalGroup(pgid, 0); attempt++) {
    await clock.sleep(pauseMs);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}
