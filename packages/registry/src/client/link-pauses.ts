import { Code, ConnectError } from "@connectrpc/connect";
import { type BackoffOptions, type Clock, createBackoff } from "@cpg/resilience";
import { isOver, type RegistryLink } from "./registry-link.ts";

/** The pauses between the attempts of one thing that is asked of the host again and again. */
export interface LinkPauses {
  /**
   * Waits for a delay that grows, or until the plugin gets another identity.
   * @throws {ConnectError} `unavailable` when the link is closed; else the reason of `signal`.
   */
  wait(signal: AbortSignal): Promise<void>;
  /**
   * Waits so long, or until the plugin gets another identity.
   * @throws as `wait`.
   */
  atMost(ms: number, signal: AbortSignal): Promise<void>;
  /** After a success: the next delay is the first again. */
  reset(): void;
}

export interface LinkPausesOptions {
  readonly link: Pick<RegistryLink, "state" | "onIdentityChange">;
  readonly backoff: BackoffOptions;
  readonly random: () => number;
  readonly clock: Clock;
}

export function createLinkPauses({ link, backoff: delays, random, clock }: LinkPausesOptions): LinkPauses {
  const backoff = createBackoff(delays, random);
  const atMost = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    checkLink(link);
    const over = new AbortController();
    const wake = (): void => over.abort("woken");
    signal.addEventListener("abort", wake, { once: true });
    const forget = link.onIdentityChange(wake);
    try {
      await clock.sleep(ms, over.signal);
    } catch (reason) {
      if (!over.signal.aborted) throw reason;
    } finally {
      forget();
      signal.removeEventListener("abort", wake);
    }
    signal.throwIfAborted();
    checkLink(link);
  };
  return { atMost, wait: (signal) => atMost(backoff.next(), signal), reset: () => backoff.reset() };
}

function checkLink(link: Pick<RegistryLink, "state">): void {
  if (isOver(link)) throw new ConnectError("the link to the host is closed", Code.Unavailable);
}
