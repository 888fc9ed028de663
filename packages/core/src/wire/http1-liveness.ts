import { type Agent, request } from "node:http";
import { request as requestTls } from "node:https";
import type { Clock } from "@cpg/resilience";
import { within } from "../internal/bounded.ts";

export interface Http1LivenessOptions {
  readonly origin: string;
  /** An agent of its own: a probe must not wait behind the calls that it is about. */
  readonly agent: Agent;
  /** Time between probes while streams are open, in ms; 0: never. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Called when the server did not answer a probe in time. */
  onSilence(): void;
}

/** Watches that a server still answers while streams are open. */
export interface Http1Liveness {
  /** Counts a stream as open until its signal aborts, which Connect does at the end of every call. */
  watch(signal: AbortSignal): void;
  close(): void;
}

/**
 * HTTP/1.1 has no PING, and a stream whose server sends nothing looks like one whose server hangs: many servers send
 * not even response headers before the first message. So a stream is bounded by asking the server beside it. Any HTTP
 * answer is a sign of life, and so is a refusal (a server that drains accepts no connections, yet finishes its
 * streams); only silence is not.
 */
export function createHttp1Liveness(options: Http1LivenessOptions): Http1Liveness {
  const { intervalMs, timeoutMs, clock, onSilence } = options;
  let streams = 0;
  let probing: AbortController | undefined;

  const run = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      await clock.sleep(intervalMs, signal);
      const silent = new Error("no answer");
      try {
        await within(
          clock,
          timeoutMs,
          (cut) => probe(options, cut),
          () => silent,
          signal,
        );
      } catch (reason) {
        if (reason !== silent) throw reason;
        onSilence();
      }
    }
  };

  const stop = (): void => {
    probing?.abort();
    probing = undefined;
  };

  return {
    watch(signal) {
      if (signal.aborted || intervalMs === 0) return;
      streams++;
      if (probing === undefined) {
        probing = new AbortController();
        run(probing.signal).catch(() => {}); // stopped
      }
      signal.addEventListener(
        "abort",
        () => {
          streams--;
          if (streams === 0) stop();
        },
        { once: true },
      );
    },
    close: stop,
  };
}

/** Resolves on an answer and on a refusal alike. */
function probe({ origin, agent }: Http1LivenessOptions, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const send = origin.startsWith("https:") ? requestTls : request;
    const call = send(`${origin}/healthz`, { agent, signal }, (response) => {
      response.resume();
      resolve();
    });
    call.on("error", () => {
      if (!signal.aborted) resolve();
    });
    call.end();
  });
}
