import { hash, timingSafeEqual } from "node:crypto";

/** A credential that is known beforehand. */
export type StaticKey = StaticKeyFacts &
  (
    | { readonly value: string; readonly sha256?: undefined }
    /** SHA-256 of the credential, 64 hex digits: so a configuration holds no credential. */
    | { readonly sha256: string; readonly value?: undefined }
  );

interface StaticKeyFacts {
  readonly identity: string;
  /** Default: none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

export interface KnownKey {
  readonly identity: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Each look compares with all of them. */
const maxKeys = 1_000;

/** SHA-256: what is compared, so that the time of a comparison tells nothing, not even about the length. */
function digest(credential: string): Buffer {
  return hash("sha256", credential, "buffer");
}

/**
 * Finds the key that a credential is, in a time that depends on neither.
 * @throws {TypeError} {RangeError} naming the option; never with a credential.
 */
export function createKeyFinder(
  option: string,
  keys: readonly StaticKey[],
): (credential: string) => KnownKey | undefined {
  if (keys.length > maxKeys)
    throw new RangeError(`${option} must hold at most ${maxKeys}, has ${keys.length}: use verify`);
  const known = keys.map(({ identity, claims = {}, value, sha256 }, index) => {
    const name = `${option}[${index}]`;
    if (typeof identity !== "string" || identity === "") throw new TypeError(`${name}.identity must not be empty`);
    if (value === undefined && sha256 === undefined) throw new TypeError(`${name} must have value or sha256`);
    if (value !== undefined && value === "") throw new TypeError(`${name}.value must not be empty`);
    if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
      throw new TypeError(`${name}.sha256 must be 64 hex digits`);
    }
    const expected = sha256 === undefined ? digest(value ?? "") : Buffer.from(sha256, "hex");
    return { expected, key: { identity, claims } };
  });
  return (credential) => {
    const presented = digest(credential);
    let found: KnownKey | undefined;
    for (const { expected, key } of known) {
      if (timingSafeEqual(presented, expected)) found ??= key;
    }
    return found;
  };
}
