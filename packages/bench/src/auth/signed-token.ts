import { randomBytes } from "node:crypto";
import { type AuthProvider, createJwtAuth } from "@cpg/auth";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** A JWT as identity providers issue them, and a provider that takes it. */
export interface SignedToken {
  readonly token: string;
  readonly auth: AuthProvider;
}

const issuer = "https://issuer.example";
const audience = "bench";

export async function createSignedToken(): Promise<SignedToken> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const kid = randomBytes(8).toString("hex");
  const token = await new SignJWT({ scope: "echo:read echo:write", email: "ann@example.com", jti: kid })
    .setProtectedHeader({ alg: "ES256", kid, typ: "JWT" })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject("ann")
    .setIssuedAt()
    .setExpirationTime("1 day")
    .sign(privateKey);
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: "ES256" }] };
  // Longer than any run: what is measured is a token that is known.
  return { token, auth: createJwtAuth({ keys: { jwks }, issuer, audience, maxCacheMs: 24 * 60 * 60 * 1000 }) };
}
