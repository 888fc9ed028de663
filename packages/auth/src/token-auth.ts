import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider } from "./auth-provider.ts";
import { type CredentialSource, type CredentialSourceOptions, createCurrentCredential } from "./credential-source.ts";
import { defineAuthProvider } from "./define-auth-provider.ts";
import { isHeaderCredential, readHeaderCredential, resolveHeaderPlace } from "./header-credential.ts";
import { createProvedConnections } from "./proved-connections.ts";
import { sendCredential } from "./send-credential.ts";
import { createKeyFinder, type StaticKey } from "./static-keys.ts";

/** Whom a verifier has recognised. */
export interface VerifiedCredential {
  readonly identity: string;
  /** Default: none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Says whose credential that is; undefined: nobody's. A ConnectError of `unavailable` says that nobody can tell now. What
 * else it throws counts as a refusal.
 */
export type CredentialVerifier = (
  credential: string,
) => VerifiedCredential | undefined | Promise<VerifiedCredential | undefined>;

export interface TokenAuthOptions extends AuthEventOptions, CredentialSourceOptions {
  /** Default "token". */
  readonly name?: string | undefined;
  /** Header in which the credential stands. Default "authorization". */
  readonly header?: string | undefined;
  /** What stands before it there, and a space. "": nothing. Default "Bearer". */
  readonly prefix?: string | undefined;
  /** On a server: credentials that are known. Default: none. */
  readonly keys?: readonly StaticKey[] | undefined;
  /** On a server: asked about all others, for every call. Default: they are refused. */
  readonly verify?: CredentialVerifier | undefined;
  /** On a client: the credential, or where it comes from. */
  readonly credential?: string | CredentialSource | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * Bearer tokens. On a server they are compared with `keys`, in constant time and as hashes, or given to `verify`; on a
 * client `credential` is sent with each call, and replaced before it expires and when a server refuses it.
 * @throws {TypeError} {RangeError} for bad options, naming the option; and when a side is used that has no credentials.
 * @example
 * const auth = createTokenAuth({ keys: [{ identity: "ci", sha256: process.env.CI_TOKEN_SHA256 }] });
 * await serve({ plugins, impls, interceptors: [auth.serverInterceptor()] });
 */
export function createTokenAuth(options: TokenAuthOptions): AuthProvider {
  const {
    name = "token",
    header = "authorization",
    prefix = "Bearer",
    keys = [],
    verify,
    credential,
    onEvent,
  } = options;
  const place = resolveHeaderPlace({ header, prefix });
  const findKey = createKeyFinder("keys", keys);
  const proved = createProvedConnections();
  if (name === "") throw new TypeError("name must not be empty");
  if (typeof credential === "string" && !isHeaderCredential(credential)) {
    throw new TypeError("credential must be visible ASCII without commas");
  }
  const source = typeof credential === "string" ? () => credential : credential;
  const current = source && createCurrentCredential(source, options);
  const refused: AuthOutcome = { kind: "refused", reason: "unknown credential" };

  const outcomeOf = (known: VerifiedCredential | undefined): AuthOutcome => {
    if (known === undefined) return refused;
    const { identity, claims = {} } = known;
    if (typeof identity !== "string" || identity === "")
      return { kind: "refused", reason: "the verifier named nobody" };
    return { kind: "proved", auth: { identity, claims, provider: name } };
  };
  const failedToVerify = (reason: unknown): AuthOutcome => {
    const unavailable = reason instanceof ConnectError && reason.code === Code.Unavailable;
    return unavailable
      ? { kind: "unavailable", reason: "the verifier is unavailable" }
      : { kind: "refused", reason: "the verifier failed" };
  };

  const provider = defineAuthProvider(
    {
      name,
      place: `header ${place.header}`,
      clientInterceptor() {
        if (current === undefined) throw new TypeError("credential must be given to use this on a client");
        return sendCredential({ header: place.header, prefix }, current);
      },
      authenticate(request) {
        const value = request.header.get(place.header);
        const before = value === null ? undefined : proved.find(request.peer, value);
        if (value === null || before !== undefined) return before ?? { kind: "absent" };
        const read = readHeaderCredential(value, place);
        if (read.kind === "absent") return read;
        if (read.kind === "malformed") return { kind: "refused", reason: read.reason };
        const key = findKey(read.credential);
        if (key !== undefined) {
          const outcome = outcomeOf(key);
          proved.remember(request.peer, value, outcome);
          return outcome;
        }
        if (verify === undefined) return refused;
        try {
          const verified = verify(read.credential);
          return verified instanceof Promise ? verified.then(outcomeOf, failedToVerify) : outcomeOf(verified);
        } catch (reason) {
          return failedToVerify(reason);
        }
      },
    },
    { onEvent },
  );
  return {
    ...provider,
    serverInterceptor(how) {
      if (keys.length === 0 && verify === undefined) {
        throw new TypeError("keys or verify must be given to use this on a server");
      }
      return provider.serverInterceptor(how);
    },
  };
}

/**
 * API keys: `createTokenAuth` with the header `x-api-key`, nothing before the key, and the name "api-key".
 * @throws as `createTokenAuth`.
 */
export function createApiKeyAuth(options: TokenAuthOptions): AuthProvider {
  const { name = "api-key", header = "x-api-key", prefix = "" } = options;
  return createTokenAuth({ ...options, name, header, prefix });
}
