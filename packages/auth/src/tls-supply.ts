import { splitRevocationLists } from "./mtls-revocation-list.ts";
import type { TlsMaterial, TlsUpdates } from "./tls-material.ts";
import type { TlsSource } from "./tls-source.ts";

/** PEM as it is, or what keeps it up to date. */
export type TlsSupply = TlsSource | SuppliedMaterial;

export type SuppliedMaterial = TlsMaterial & { readonly updates?: TlsUpdates | undefined };

/** What is valid now, and the updates of it; of revocation lists one in each PEM. */
export function suppliedMaterial(supply: TlsSupply): SuppliedMaterial {
  if ("tls" in supply) return supply.tls;
  const { updates } = supply;
  const split: TlsUpdates | undefined =
    updates && ((apply) => updates((material) => apply(splitRevocationLists(material))));
  return { ...splitRevocationLists(supply), ...(split === undefined ? {} : { updates: split }) };
}

/** @throws {TypeError} for another version. */
export function checkMinVersion(minVersion: string): void {
  if (minVersion !== "TLSv1.2" && minVersion !== "TLSv1.3") {
    throw new TypeError(`minVersion must be "TLSv1.2" or "TLSv1.3", got ${JSON.stringify(minVersion)}`);
  }
}
