import type { Clock } from "@cpg/resilience";
import type { Connection } from "./connection.ts";

/** Time for an idle peer to answer the good-bye. */
const goodbyeMs = 1_000;

/**
 * Retires an HTTP/2 connection on which no call was in flight for `idleTimeoutMs`, and cuts it if its peer does not
 * react. That also ends the sessions that Node 22 leaves open, unread, after a peer broke the rules of HTTP/2. Node's own
 * time-out counts silence, and would take a silent stream for an idle session; this one costs a call nothing but a look
 * at the clock.
 */
export async function closeWhenIdle(
  connection: Connection,
  idleTimeoutMs: number,
  clock: Clock,
  ended: AbortSignal,
): Promise<void> {
  try {
    for (let leftMs = idleTimeoutMs; leftMs > 0; ) {
      await clock.sleep(leftMs, ended);
      const sinceMs = connection.idleSinceMs;
      leftMs = sinceMs === undefined ? idleTimeoutMs : sinceMs + idleTimeoutMs - clock.monotonic();
    }
    connection.retire();
    await clock.sleep(goodbyeMs, ended);
  } catch {
    return; // the connection has ended
  }
  if (connection.inFlight === 0) connection.cut();
}
