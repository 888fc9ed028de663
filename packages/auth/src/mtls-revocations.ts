import type { X509Certificate } from "node:crypto";
import { readRevocationLists } from "./mtls-revocation-list.ts";
import { readX509Fields } from "./mtls-x509-fields.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** The certificates that are revoked now. */
export interface Revocations {
  /** Rises with every change. */
  readonly epoch: number;
  /** Replaces the lists. @throws {TypeError} for lists that cannot be read; then those before stay. */
  use(crl: TlsMaterial["crl"]): void;
  include(certificate: X509Certificate): boolean;
}

export function createRevocations(): Revocations {
  let epoch = 0;
  let byIssuer = new Map<string, ReadonlySet<string>[]>();
  return {
    get epoch() {
      return epoch;
    },
    use(crl) {
      const next = new Map<string, ReadonlySet<string>[]>();
      for (const { issuer, serials } of readRevocationLists(crl)) {
        const lists = next.get(issuer);
        if (lists === undefined) next.set(issuer, [serials]);
        else lists.push(serials);
      }
      byIssuer = next;
      epoch++;
    },
    include(certificate) {
      if (byIssuer.size === 0) return false;
      const { issuer, serial } = readX509Fields(certificate.raw);
      return byIssuer.get(issuer)?.some((serials) => serials.has(serial)) ?? false;
    },
  };
}
