import { type Clock, systemClock } from "@cpg/resilience";
import { errors, type JWTPayload, jwtVerify } from "jose";
import type { AuthContext } from "./auth-context.ts";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider } from "./auth-provider.ts";
import { type CredentialSource, type CredentialSourceOptions, createCurrentCredential } from "./credential-source.ts";
import { defineAuthProvider } from "./define-auth-provider.ts";
import { formatHeaderCredential, readHeaderCredential, resolveHeaderPlace } from "./header-credential.ts";
import { KeysUnavailableError } from "./jwks-source.ts";
import { createJwtCache } from "./jwt-cache.ts";
import { createKeyGetter, type JwtKeys, resolveAlgorithms } from "./jwt-keys.ts";
import { sendCredential } from "./send-credential.ts";

export interface JwtAuthOptions extends AuthEventOptions, CredentialSourceOptions {
  /** Default "jwt". */
  readonly name?: string | undefined;
  /** Header in which the token stands. Default "authorization". */
  readonly header?: string | undefined;
  /** What stands before it there, and a space. Default "Bearer". */
  readonly prefix?: string | undefined;

  /** On a server: what verifies signatures. */
  readonly keys?: JwtKeys | undefined;
  /** On a server: who may have issued a token. One at least. */
  readonly issuer?: string | readonly string[] | undefined;
  /** On a server: for whom it must be, any of these. One at least. */
  readonly audience?: string | readonly string[] | undefined;
  /** Default: with public keys all asymmetric ones, with a secret HS256. Never "none". */
  readonly algorithms?: readonly string[] | undefined;
  /** By how much clocks may differ, in ms. Default 5 000. */
  readonly clockSkewMs?: number | undefined;
  /** Age of a token since `iat`, in ms; then it needs that claim. Default: its `exp` is all. */
  readonly maxTokenAgeMs?: number | undefined;
  /** Claims that a token must have, beside iss, aud and exp. Default: those that `identity` needs. */
  readonly requiredClaims?: readonly string[] | undefined;
  /** Who it is: the name of a claim, or a function; undefined or "" refuses. Default "sub". */
  readonly identity?: string | ((claims: JWTPayload) => string | undefined) | undefined;
  /** Verified tokens that are kept. 0: none. Default 10 000. */
  readonly maxCachedTokens?: number | undefined;
  /** How long one is kept, in ms, if it does not end before: so long may a withdrawn key live on. Default 300 000. */
  readonly maxCacheMs?: number | undefined;

  /** On a client: the token, or where it comes from. */
  readonly credential?: string | CredentialSource | undefined;
  readonly clock?: Clock | undefined;
}

/** Three parts, as a signed token has them. Anything else is another kind of credential. */
const jwtForm = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * Signed tokens (JWT, RFC 7519), verified by jose. A token is verified once and then found in a cache, until it ends or
 * `maxCacheMs` have passed; keys from a URL are fetched and rotate by themselves. A bearer credential that has not the form
 * of a JWT is left to other providers.
 * @throws {TypeError} {RangeError} for bad options, naming the option; and when a side is used that lacks them.
 * @example
 * const auth = createJwtAuth({
 *   keys: { url: "https://issuer.example/.well-known/jwks.json" },
 *   issuer: "https://issuer.example",
 *   audience: "kv",
 * });
 */
export function createJwtAuth(options: JwtAuthOptions): AuthProvider {
  const { name = "jwt", header = "authorization", prefix = "Bearer", credential, onEvent } = options;
  const place = resolveHeaderPlace({ header, prefix });
  if (name === "") throw new TypeError("name must not be empty");
  const verifier = options.keys && createVerifier(name, options.keys, options);
  const source = typeof credential === "string" ? () => credential : credential;
  const current = source && createCurrentCredential(source, options);
  const noKeys = () => new TypeError("keys must be given to use this on a server");

  const provider = defineAuthProvider(
    {
      name,
      place: `header ${place.header}`,
      clientInterceptor() {
        if (current === undefined) throw new TypeError("credential must be given to use this on a client");
        return sendCredential({ header: place.header, prefix }, current);
      },
      authenticate({ header: headers }) {
        if (verifier === undefined) throw noKeys();
        const value = headers.get(place.header);
        const known = value === null ? undefined : verifier.find(value);
        if (known !== undefined) return known;
        const read = readHeaderCredential(value, place);
        if (read.kind === "absent") return read;
        if (read.kind === "malformed") return { kind: "refused", reason: read.reason };
        if (!jwtForm.test(read.credential)) return { kind: "absent" };
        return verifier.verify(read.credential, formatHeaderCredential({ header, prefix }, read.credential));
      },
    },
    { onEvent },
  );
  return {
    ...provider,
    serverInterceptor(how) {
      if (verifier === undefined) throw noKeys();
      return provider.serverInterceptor(how);
    },
  };
}

interface Verifier {
  /** Who it is, if this value of the header holds a token that was verified and is valid still. */
  find(value: string): AuthOutcome | undefined;
  /** Says who it is; remembers it under the value that the header has as a rule. */
  verify(token: string, value: string): AuthOutcome | Promise<AuthOutcome>;
}

function createVerifier(name: string, keys: JwtKeys, options: JwtAuthOptions): Verifier {
  const { clockSkewMs = 5_000, maxTokenAgeMs, identity = "sub", maxCachedTokens = 10_000 } = options;
  const { maxCacheMs = 300_000, clock = systemClock } = options;
  const issuer = checkNames("issuer", options.issuer);
  const audience = checkNames("audience", options.audience);
  const algorithms = [...resolveAlgorithms(keys, options.algorithms)];
  const getKey = createKeyGetter(keys, clock);
  const own = typeof identity === "string" ? [identity] : [];
  const requiredClaims = [...new Set([...own, ...(options.requiredClaims ?? []), "exp"])];
  if (!(clockSkewMs >= 0)) throw new RangeError(`clockSkewMs must be a number of ms from 0, got ${clockSkewMs}`);
  if (maxTokenAgeMs !== undefined && !(maxTokenAgeMs > 0)) {
    throw new RangeError(`maxTokenAgeMs must be greater than 0, got ${maxTokenAgeMs}`);
  }
  if (!Number.isInteger(maxCachedTokens) || maxCachedTokens < 0) {
    throw new RangeError(`maxCachedTokens must be a whole number from 0, got ${maxCachedTokens}`);
  }
  if (!(maxCacheMs >= 0)) throw new RangeError(`maxCacheMs must be a number of ms from 0, got ${maxCacheMs}`);
  const cache = createJwtCache(maxCachedTokens);
  /** Calls that bring one token together verify it once. */
  const verifying = new Map<string, Promise<AuthOutcome>>();

  const identityOf = (claims: JWTPayload): unknown =>
    typeof identity === "function" ? identity(claims) : claims[identity];
  const verifyNow = async (token: string, value: string): Promise<AuthOutcome> => {
    try {
      const { payload } = await jwtVerify(token, getKey, {
        issuer,
        audience,
        algorithms,
        requiredClaims,
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(clock.now()),
        ...(maxTokenAgeMs === undefined ? {} : { maxTokenAge: maxTokenAgeMs / 1000 }),
      });
      const who = identityOf(payload);
      if (typeof who !== "string" || who === "") return { kind: "refused", reason: "the token names nobody" };
      const auth: AuthContext = Object.freeze({ identity: who, claims: freezeAll(payload), provider: name });
      const { exp = 0, iat = 0 } = payload;
      const endMs = exp * 1000 + clockSkewMs;
      const oldMs = maxTokenAgeMs === undefined ? endMs : iat * 1000 + maxTokenAgeMs + clockSkewMs;
      cache.set(value, auth, Math.min(endMs, oldMs, clock.now() + maxCacheMs));
      return { kind: "proved", auth };
    } catch (reason) {
      if (reason instanceof KeysUnavailableError) return { kind: "unavailable", reason: reason.message };
      return { kind: "refused", reason: describe(reason) };
    }
  };

  const find = (value: string): AuthOutcome | undefined => {
    const auth = cache.get(value, clock.now());
    return auth && { kind: "proved", auth };
  };
  return {
    find,
    verify(token, value) {
      const known = find(value) ?? verifying.get(token);
      if (known !== undefined) return known;
      const outcome = verifyNow(token, value).finally(() => verifying.delete(token));
      verifying.set(token, outcome);
      return outcome;
    },
  };
}

/** Lists too: all calls with one token share its claims, and what a handler changes would count for the others. */
function freezeAll<T extends object>(json: T): Readonly<T> {
  for (const value of Object.values(json)) {
    if (typeof value === "object" && value !== null) freezeAll(value);
  }
  return Object.freeze(json);
}

/** Names the claim and the rule, never a value: those may be secret, or of whoever attacks. */
function describe(reason: unknown): string {
  if (reason instanceof errors.JWTExpired) return "the token has expired";
  if (reason instanceof errors.JWTClaimValidationFailed) return `claim ${reason.claim}: ${reason.reason}`;
  if (reason instanceof errors.JWSSignatureVerificationFailed) return "the signature does not hold";
  if (reason instanceof errors.JOSEAlgNotAllowed) return "the algorithm is not allowed";
  if (reason instanceof errors.JWKSNoMatchingKey) return "no key of that id";
  if (reason instanceof errors.JWKSMultipleMatchingKeys) return "the token does not say which key";
  return "the token is malformed";
}

function checkNames(option: string, names: string | readonly string[] | undefined): string[] {
  const list = [names ?? []].flat();
  if (list.length === 0 || list.some((name) => typeof name !== "string" || name === "")) {
    throw new TypeError(`${option} must name one at least`);
  }
  return list;
}
