import type { Clock } from "@cpg/resilience";

export interface AskWithinOptions {
  readonly graceMs: number;
  askToStop(signal: AbortSignal): Promise<void>;
  /** Aborts when the plugin has ended. */
  readonly gone: AbortSignal;
  readonly clock: Clock;
}

/** Asks a plugin to end. Resolves when it has ended, when asking failed, or when the grace is over. Never rejects. */
export async function askWithin({ graceMs, askToStop, gone, clock }: AskWithinOptions): Promise<void> {
  const over = new AbortController();
  const refused = new AbortController();
  const asking = AbortSignal.any([gone, over.signal]);
  (async () => askToStop(asking))().catch(() => refused.abort("nobody was asked"));
  await clock.sleep(graceMs, AbortSignal.any([gone, refused.signal])).catch(() => {}); // it ended, or nobody was asked
  over.abort("the grace is over");
}
