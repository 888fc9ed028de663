import assert from "node:assert/strict";
import { createHmac, createSecretKey, randomBytes, timingSafeEqual, X509Certificate } from "node:crypto";
import type { Interceptor } from "@connectrpc/connect";
import {
  type AuthorizationRule,
  type AuthProvider,
  authorize,
  composeAuth,
  createApiKeyAuth,
  createMtlsAuth,
  createTokenAuth,
  type Peer,
} from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import type { Variant } from "../table.ts";
import { type GuardedChain, guardedChainVariant } from "./guarded-chain.ts";
import { createSignedToken } from "./signed-token.ts";

export const emptyChain = "empty chain";
export const hmacVerification = "one HMAC-SHA256 verification";
export const tokenOnConnection = "token, on a connection";
export const apiKeyOnConnection = "API key, on a connection";

const identity = "ann";
/** 256 random bits. */
const secret = randomBytes(32).toString("base64url");
const keys = [{ identity, value: secret }];
const connection: Peer = { network: "tcp", address: "192.0.2.1", port: 40_000, tls: undefined };
const bearer = { authorization: `Bearer ${secret}` };
const apiKey = { "x-api-key": secret };

/** What interceptors of a server add to a call. */
export const authVariants: readonly Variant[] = [
  guardedChainVariant(emptyChain, () => ({ interceptors: [], peer: connection })),
  guardedChainVariant(hmacVerification, () => ({ interceptors: [verifiesHmac()], peer: connection })),
  guardedVariant(tokenOnConnection, createTokenAuth({ keys }), { headers: bearer, peer: connection }),
  guardedVariant("token, connection unknown", createTokenAuth({ keys }), { headers: bearer }),
  guardedVariant(apiKeyOnConnection, createApiKeyAuth({ keys }), { headers: apiKey, peer: connection }),
  guardedVariant("API key, connection unknown", createApiKeyAuth({ keys }), { headers: apiKey }),
  guardedChainVariant("JWT, seen before", async () => {
    const { token, auth } = await createSignedToken();
    const headers = { authorization: `Bearer ${token}` };
    return { interceptors: [auth.serverInterceptor()], headers, peer: connection, identity };
  }),
  guardedChainVariant("mTLS", async () => {
    const auth = createMtlsAuth({ identity: ({ commonName }) => commonName[0] });
    return { interceptors: [auth.serverInterceptor()], peer: await verifiedPeer(), identity };
  }),
  guardedChainVariant("composeAuth: JWT, token, API key (which is there)", async () => {
    const { auth: jwt } = await createSignedToken();
    const auth = composeAuth([jwt, createTokenAuth({ keys }), createApiKeyAuth({ keys })]);
    return { interceptors: [auth.serverInterceptor()], headers: apiKey, peer: connection, identity };
  }),
  guardedVariant(
    "token, and authorize with 10 rules (the last applies)",
    createTokenAuth({ keys }),
    { headers: bearer, peer: connection },
    [authorize({ rules: tenRules() })],
  ),
];

function guardedVariant(
  name: string,
  auth: AuthProvider,
  call: Pick<GuardedChain, "headers" | "peer">,
  inside: readonly Interceptor[] = [],
): Variant {
  return guardedChainVariant(name, () => ({ interceptors: [auth.serverInterceptor(), ...inside], identity, ...call }));
}

/**
 * What a scheme would cost that signs its credentials: only to make the HMAC of so many bytes, and to compare. With the key
 * as Node is fastest; with one as bytes it takes five times as long.
 */
function verifiesHmac(): Interceptor {
  const key = createSecretKey(randomBytes(32));
  const expected = createHmac("sha256", key).update(secret).digest();
  return (next) => (call) => {
    assert(timingSafeEqual(createHmac("sha256", key).update(secret).digest(), expected));
    return next(call);
  };
}

async function verifiedPeer(): Promise<Peer> {
  const { cert } = await (await createCertificateAuthority()).issue({ commonName: identity });
  const certificate = new X509Certificate(cert);
  const tls = { protocol: "TLSv1.3", authorized: true, authorizationError: undefined, certificate: () => certificate };
  return { ...connection, tls };
}

function tenRules(): AuthorizationRule[] {
  const others = Array.from(
    { length: 9 },
    (_, index): AuthorizationRule => ({
      name: `team ${index}`,
      methods: [`acme.team${index}.v1.*`, `${EchoService.typeName}/List`],
      identities: [`team-${index}`],
    }),
  );
  return [...others, { name: "echo", methods: [`${EchoService.typeName}/*`], identities: [identity] }];
}
