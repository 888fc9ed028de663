import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";

const fields = ["cert", "key", "crl", "ciphers", "minVersion", "maxVersion"] as const;

/**
 * Certificates, keys and versions, read once.
 * @throws {TypeError} naming the field of `tls` that cannot be used.
 */
export function readSecureContext(tls: SecureContextOptions): SecureContext {
  checkAuthorities(tls.ca);
  try {
    return createSecureContext(tls);
  } catch (reason) {
    // OpenSSL tells what it did not like, and not where it came from.
    const field = fields.find(
      (name) => tls[name] !== undefined && !isUsable({ [name]: tls[name], ...passphraseOf(tls) }),
    );
    const detail = reason instanceof Error ? reason.message : String(reason);
    throw new TypeError(`tls.${field ?? "cert and tls.key"} cannot be used: ${detail}`, { cause: reason });
  }
}

/** Node takes for authorities whatever it gets, and then trusts nobody. */
function checkAuthorities(ca: SecureContextOptions["ca"]): void {
  for (const authority of ca === undefined ? [] : [ca].flat()) {
    try {
      new X509Certificate(authority);
    } catch (reason) {
      throw new TypeError("tls.ca cannot be used: it has to hold certificates in PEM", { cause: reason });
    }
  }
}

function isUsable(tls: SecureContextOptions): boolean {
  try {
    createSecureContext(tls);
    return true;
  } catch {
    return false;
  }
}

function passphraseOf({ passphrase }: SecureContextOptions): SecureContextOptions {
  return passphrase === undefined ? {} : { passphrase };
}
