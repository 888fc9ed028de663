import type { Upstream } from "../router/upstream.ts";
import type { HealthReport } from "./health-monitor.ts";
import type { DeathProof } from "./liveness.ts";

/** What a probe has shown. */
export type ProbeResult =
  /** Something is there. `opinion`: what it says of its health; undefined when it says nothing that can be understood. */
  | { readonly kind: "answered"; readonly opinion: HealthReport | undefined }
  | { readonly kind: "timed-out" }
  /** Proof that nobody is there. */
  | { readonly kind: DeathProof }
  /** It failed on this side, and shows nothing. */
  | { readonly kind: "inconclusive" };

/** How providers are asked for their health. */
export interface Probe {
  /** Does no I/O by itself. */
  open(upstream: Upstream): ProbeConnection;
}

/** The way to one provider. */
export interface ProbeConnection {
  /** Asks once, for as long as it takes: the signal is its bound. After that has aborted the result does not count. */
  ask(signal: AbortSignal): Promise<ProbeResult>;
  /** Idempotent. */
  close(): Promise<void>;
}
