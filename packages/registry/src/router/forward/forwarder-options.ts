import type { ClientTlsOptions } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import type { ForwarderLimits } from "../upstream-pool/upstream-limits.ts";

export interface ForwarderOptions {
  readonly clock?: Clock | undefined;
  /** Authorities, certificate and key for https providers. Which name they have to prove is the upstream's. */
  readonly tls?: Omit<ClientTlsOptions, "servername" | "rejectUnauthorized"> | undefined;
  readonly limits?: ForwarderLimits | undefined;
}
