import { randomInt } from "node:crypto";
import type { Clock } from "@cpg/resilience";
import type { Connection } from "./connection.ts";

/** Replaces a connection at an age between `maxAgeMs` and a tenth more; 0: never. Never rejects. */
export async function replaceWhenOld(
  connection: Connection,
  maxAgeMs: number,
  clock: Clock,
  ended: AbortSignal,
): Promise<void> {
  if (maxAgeMs === 0) return;
  try {
    await clock.sleep(maxAgeMs + randomInt(Math.floor(maxAgeMs / 10) + 1), ended);
    connection.replace();
  } catch {
    // the connection has ended
  }
}
