import { createSecretKey, type KeyObject } from "node:crypto";
import type { Clock } from "@cpg/resilience";
import { type CryptoKey, createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { createRemoteKeys, type RemoteKeysOptions } from "./jwks-source.ts";

/** Where the keys come from that verify tokens. */
export type JwtKeys =
  | RemoteKeysOptions
  /** A key set, or a function that gives the present one: another object means other keys. */
  | { readonly jwks: JSONWebKeySet | (() => JSONWebKeySet) }
  /** One public key. */
  | { readonly publicKey: KeyObject | CryptoKey }
  /** A secret that signs and verifies, for HS256, HS384 and HS512. At least 32 bytes. */
  | { readonly secret: Uint8Array | string };

const asymmetric = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const symmetric = ["HS256", "HS384", "HS512"];
const minSecretBytes = 32;

/**
 * The algorithms that tokens may use. A secret and a public key never go together: a public key that is taken for a secret
 * lets anybody sign.
 * @throws {TypeError} naming the option.
 */
export function resolveAlgorithms(keys: JwtKeys, algorithms: readonly string[] | undefined): readonly string[] {
  const possible = "secret" in keys ? symmetric : asymmetric;
  if (algorithms === undefined) return "secret" in keys ? ["HS256"] : asymmetric;
  if (algorithms.length === 0) throw new TypeError("algorithms must hold at least one");
  const wrong = algorithms.find((algorithm) => !possible.includes(algorithm));
  if (wrong !== undefined) {
    throw new TypeError(`algorithms must be of ${possible.join(", ")} with these keys, got ${JSON.stringify(wrong)}`);
  }
  return [...algorithms];
}

/** @throws {TypeError} {RangeError} naming the option. */
export function createKeyGetter(keys: JwtKeys, clock: Clock): JWTVerifyGetKey {
  if ("url" in keys) return createRemoteKeys(keys, clock);
  if ("secret" in keys) {
    const secret = createSecretKey(typeof keys.secret === "string" ? Buffer.from(keys.secret) : keys.secret);
    const { symmetricKeySize = 0 } = secret;
    if (symmetricKeySize < minSecretBytes) {
      throw new RangeError(`keys.secret must have at least ${minSecretBytes} bytes, has ${symmetricKeySize}`);
    }
    return async () => secret;
  }
  if ("publicKey" in keys) {
    const { publicKey } = keys;
    if (publicKey?.type !== "public") throw new TypeError("keys.publicKey must be a public key");
    return async () => publicKey;
  }
  if (!("jwks" in keys)) throw new TypeError("keys must have url, jwks, publicKey or secret");
  const { jwks } = keys;
  if (typeof jwks !== "function") return createLocalJWKSet(jwks);
  let present = jwks();
  let getKey = createLocalJWKSet(present);
  return async (header, token) => {
    const next = jwks();
    if (next !== present) {
      getKey = createLocalJWKSet(next);
      present = next;
    }
    return await getKey(header, token);
  };
}
