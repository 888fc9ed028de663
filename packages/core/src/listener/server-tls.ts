import type { TlsOptions } from "node:tls";
import { readSecureContext } from "../internal/secure-context.ts";
import type { TlsUpdates } from "../internal/tls-updates.ts";

/** TLS of a listener; what is not described here is as in Node's `tls.createServer`. */
export interface ServerTlsOptions
  extends Pick<
    TlsOptions,
    | "cert"
    | "key"
    | "passphrase"
    | "ca"
    | "crl"
    | "ciphers"
    | "maxVersion"
    | "requestCert"
    | "rejectUnauthorized"
    | "SNICallback"
  > {
  /** Default "TLSv1.2". */
  readonly minVersion?: TlsOptions["minVersion"];
  /** Replaces certificate, key, authorities and revocation lists of a listener that runs. Default: they stay. */
  readonly updates?: TlsUpdates | undefined;
  /** Serve cleartext on the same port too. Default false: a peer that does not begin with TLS is cut. */
  readonly allowCleartext?: boolean | undefined;
}

/** Options for `tls.createServer`. @throws {TypeError} naming the field that is missing or cannot be used. */
export function resolveServerTls(options: ServerTlsOptions, handshakeTimeoutMs: number): TlsOptions {
  const { allowCleartext: _, updates: __, minVersion = "TLSv1.2", ...rest } = options;
  if (rest.cert === undefined) throw new TypeError("tls.cert is missing");
  if (rest.key === undefined) throw new TypeError("tls.key is missing");
  readSecureContext({ ...rest, minVersion });
  return { ...rest, minVersion, ALPNProtocols: ["h2", "http/1.1"], handshakeTimeout: handshakeTimeoutMs };
}
