import { type BackoffOptions, type Clock, createBackoff } from "@cpg/resilience";
import { isUp, type RegistryLink } from "./registry-link.ts";

/** The waits of one thing that is asked of the host again and again. All reject with the reason of `signal`. */
export interface LinkPauses {
  /** Until the link is up; at once if it is. @throws {ConnectError} `unavailable` when the link is closed. */
  whenUp(signal: AbortSignal): Promise<void>;
  /**
   * After a failure: until the link is up again or, if it is up, for a delay that grows with each failure.
   * @throws as `whenUp`.
   */
  retry(signal: AbortSignal): Promise<void>;
  /** So long, or until the plugin gets another identity or loses its own. */
  atMost(ms: number, signal: AbortSignal): Promise<void>;
  /** After a success: the next delay is the first again. */
  reset(): void;
}

export interface LinkPausesOptions {
  readonly link: Pick<RegistryLink, "state" | "whenLinked" | "onIdentityChange">;
  readonly backoff: BackoffOptions;
  readonly random: () => number;
  readonly clock: Clock;
}

export function createLinkPauses({ link, backoff: delays, random, clock }: LinkPausesOptions): LinkPauses {
  const backoff = createBackoff(delays, random);

  const whenUp = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (!isUp(link)) await link.whenLinked({ timeoutMs: Number.POSITIVE_INFINITY, signal });
  };
  const atMost = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    const over = new AbortController();
    const wake = (): void => over.abort("woken");
    signal.addEventListener("abort", wake, { once: true });
    const stopHearing = link.onIdentityChange(wake);
    try {
      await clock.sleep(ms, over.signal);
    } catch (reason) {
      if (!over.signal.aborted) throw reason;
    } finally {
      stopHearing();
      signal.removeEventListener("abort", wake);
    }
    signal.throwIfAborted();
  };
  return {
    whenUp,
    atMost,
    // A link that is down has pauses of its own.
    retry: (signal) => (isUp(link) ? atMost(backoff.next(), signal) : whenUp(signal)),
    reset: () => backoff.reset(),
  };
}
