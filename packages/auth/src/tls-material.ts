import type { SecureContextOptions } from "node:tls";

/** What TLS shows, trusts and revokes, in the terms of `node:tls`. */
export interface TlsMaterial {
  readonly cert?: SecureContextOptions["cert"];
  readonly key?: SecureContextOptions["key"];
  readonly passphrase?: SecureContextOptions["passphrase"];
  readonly ca?: SecureContextOptions["ca"];
  readonly crl?: SecureContextOptions["crl"];
}

/**
 * Tells of new material: calls `apply` whenever there is some. `apply` throws for material that cannot be used, and keeps
 * what was there. Returns how to stop. Servers and clients of @cpg/core take it as `tls.updates`.
 */
export type TlsUpdates = (apply: (material: TlsMaterial) => void) => () => void;
