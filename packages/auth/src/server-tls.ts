import type { Server, TlsOptions } from "node:tls";
import type { CertificateGate } from "./certificate-gate.ts";
import type { TlsMaterial, TlsUpdates } from "./tls-material.ts";
import { checkMinVersion, suppliedMaterial, type TlsSupply } from "./tls-supply.ts";

export interface ServerTlsSettings {
  /** Ask clients for a certificate, and refuse those without a verified one. Default true. */
  readonly requestCert?: boolean | undefined;
  /**
   * Names the routes that may do without a certificate. If there are any, TLS lets everybody in: it is the gate that
   * refuses, so it has to stand before the server's handler. Default: there are none.
   */
  readonly gate?: CertificateGate | undefined;
  /** Default "TLSv1.2". */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /** Protocols above TLS, for a plain `tls.createServer`. Default: the server's own choice. */
  readonly alpn?: readonly ("h2" | "http/1.1")[] | undefined;
}

/** For the `tls` option of @cpg/core's `serve`, and for the servers of node:tls, node:https and node:http2. */
export type ServerTls = TlsMaterial &
  Pick<TlsOptions, "ALPNProtocols"> & {
    readonly minVersion: "TLSv1.2" | "TLSv1.3";
    readonly requestCert: boolean;
    readonly rejectUnauthorized: boolean;
    readonly updates?: TlsUpdates | undefined;
  };

/**
 * TLS options of a server that knows its clients by their certificates. `serve` of @cpg/core follows a source by itself;
 * for a server of Node call `rotateTls`.
 * @throws {TypeError} naming what is missing. Clients are asked for certificates only with `ca`: without it Node would
 * take any that a public authority has signed.
 * @example
 * const tls = serverTls(await watchTlsFiles({ cert, key, ca }));
 * const server = createSecureServer(tls, handler);
 * rotateTls(server, tls);
 */
export function serverTls(supply: TlsSupply, settings: ServerTlsSettings = {}): ServerTls {
  const { requestCert = true, gate, minVersion = "TLSv1.2", alpn } = settings;
  const material = suppliedMaterial(supply);
  if (material.cert === undefined) throw new TypeError("cert is missing");
  if (material.key === undefined) throw new TypeError("key is missing");
  if (requestCert && isEmpty(material.ca)) throw new TypeError("ca is missing: it says which clients are trusted");
  if (!requestCert && gate !== undefined) throw new TypeError("gate needs requestCert");
  checkMinVersion(minVersion);
  return {
    ...material,
    minVersion,
    requestCert,
    rejectUnauthorized: gate === undefined || gate.openRoutes.length === 0,
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  };
}

/**
 * Keeps the certificate, key, authorities and revocation lists of a server of Node up to date, for connections that it
 * accepts from then on, until it closes. Returns how to stop sooner.
 */
export function rotateTls(server: Server, tls: ServerTls): () => void {
  const { updates, minVersion } = tls;
  let latest = definedMaterial(tls);
  const stop = updates?.((material) => {
    // What an update leaves out stays: without authorities Node's own would be trusted.
    const next = { ...latest, ...definedMaterial(material) };
    server.setSecureContext({ minVersion, ...next });
    latest = next;
  });
  if (stop === undefined) return () => {};
  server.once("close", stop);
  return () => {
    server.off("close", stop);
    stop();
  };
}

function definedMaterial({ cert, key, passphrase, ca, crl }: TlsMaterial) {
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ca === undefined ? {} : { ca }),
    ...(crl === undefined ? {} : { crl }),
  };
}

function isEmpty(ca: TlsMaterial["ca"]): boolean {
  return ca === undefined || [ca].flat().every((pem) => pem.length === 0);
}
