import type { DeathProof } from "./liveness.ts";

/** What a health monitor has decided, for logs and metrics. */
export type HealthEvent =
  /** Proven dead, by a probe or by a call of the router. */
  | { readonly type: "died"; readonly providerId: string; readonly proof: DeathProof; readonly by: "probe" | "call" }
  /** Hidden: too many probes timed out. */
  | { readonly type: "silent"; readonly providerId: string }
  /** It answered after it had been dead or silent. */
  | { readonly type: "recovered"; readonly providerId: string }
  /** Too many calls in a row failed. */
  | { readonly type: "ejected"; readonly providerId: string; readonly forMs: number }
  /** `early`: because too few others of its services are left. */
  | { readonly type: "readmitted"; readonly providerId: string; readonly early: boolean }
  /**
   * So many providers of a type time out that further ones are not hidden for it: the network or this host is the likelier
   * cause.
   */
  | {
      readonly type: "mass-silence";
      readonly serviceType: string;
      readonly providers: number;
      /** Those hidden already. */
      readonly hidden: number;
    }
  | { readonly type: "mass-silence-ended"; readonly serviceType: string }
  /** Its token had expired, and it does not answer: it was removed. */
  | { readonly type: "expired"; readonly providerId: string };
