import type { TlsMaterial, TlsUpdates } from "./tls-material.ts";
import { checkMinVersion, suppliedMaterial, type TlsSupply } from "./tls-supply.ts";

export interface ClientTlsSettings {
  /** Name to ask for and to find in the server's certificate. Default: the host that is called. */
  readonly servername?: string | undefined;
  /** Default "TLSv1.2". */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /** Protocols above TLS, for a plain `tls.connect`. Default: the client's own choice. */
  readonly alpn?: readonly ("h2" | "http/1.1")[] | undefined;
}

/** For the `tls` option of @cpg/core's clients, `nodeOptions` of connect-node's transports, and clients of Node. */
export type ClientTls = TlsMaterial & {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly rejectUnauthorized: true;
  readonly servername?: string;
  readonly ALPNProtocols?: string[];
  readonly updates?: TlsUpdates;
};

/**
 * TLS options of a client that shows a certificate. With a source, whoever reads them gets what is valid then: connections
 * that are made later use it. So pass the object as it is: a copy stays as it was. It follows the source until that closes.
 * @throws {TypeError} for bad settings, and for a certificate without its key or a key without its certificate.
 * @example
 * const transport = createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions: clientTls(source) });
 */
export function clientTls(supply: TlsSupply, settings: ClientTlsSettings = {}): ClientTls {
  const { servername, minVersion = "TLSv1.2", alpn } = settings;
  checkMinVersion(minVersion);
  const { updates, ...first } = suppliedMaterial(supply);
  if ((first.cert === undefined) !== (first.key === undefined)) {
    throw new TypeError("cert and key have to be given together");
  }
  const settled = {
    minVersion,
    rejectUnauthorized: true,
    ...(servername === undefined ? {} : { servername }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  } as const;
  if (updates === undefined) return { ...first, ...settled };
  let current: TlsMaterial = first;
  updates((material) => {
    current = material;
  });
  const tls = { ...settled, updates };
  for (const field of ["cert", "key", "passphrase", "ca", "crl"] as const) {
    Object.defineProperty(tls, field, { enumerable: true, get: () => current[field] });
  }
  return tls;
}
