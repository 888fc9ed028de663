import type { SecureContextOptions } from "node:tls";

/** What TLS shows, trusts and revokes, and what may change while a program runs. */
export interface TlsMaterial {
  readonly cert?: SecureContextOptions["cert"];
  readonly key?: SecureContextOptions["key"];
  readonly passphrase?: SecureContextOptions["passphrase"];
  readonly ca?: SecureContextOptions["ca"];
  readonly crl?: SecureContextOptions["crl"];
}

/**
 * Where new material comes from, such as files that are watched: calls `apply` whenever there is some, for the connections
 * that are made from then on. A field that is missing or undefined stays as it was. `apply` throws a TypeError naming the
 * field for material that cannot be used, and what was in use stays so. Returns how to stop; it is called when the server
 * or the transport closes.
 */
export type TlsUpdates = (apply: (material: TlsMaterial) => void) => () => void;

/** Subscribes, once; after the stop nothing is applied any more. `apply` gets all that has been replaced so far. */
export function followTlsUpdates(updates: TlsUpdates | undefined, apply: (material: TlsMaterial) => void): () => void {
  if (updates === undefined) return () => {};
  let stopped = false;
  let latest: TlsMaterial = {};
  const stop = updates((material) => {
    if (stopped) return;
    const next = { ...latest, ...definedParts(material) };
    apply(next);
    latest = next;
  });
  return () => {
    if (stopped) return;
    stopped = true;
    stop();
  };
}

/** Without what is undefined: spread over the options it would take authorities away, and Node's own would be trusted. */
function definedParts(material: TlsMaterial): TlsMaterial {
  return Object.fromEntries(Object.entries(material).filter(([, part]) => part !== undefined));
}
