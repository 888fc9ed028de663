// For clients and servers.
export { type AuthContext, authKey, getAuth } from "./auth-context.ts";
export type { AuthEvent, AuthEventOptions } from "./auth-event.ts";
// For ways to authenticate of your own.
export type { AuthMethod, AuthOutcome, AuthProvider, AuthRequest, ServerAuthOptions } from "./auth-provider.ts";
export { type AuthenticatedOptions, authenticated } from "./authenticated.ts";
export {
  type AuthorizationDecision,
  type AuthorizationRule,
  type AuthorizeOptions,
  authorize,
  type IdentityMatch,
} from "./authorize.ts";
export { composeAuth } from "./compose-auth.ts";
export type { Credential, CredentialSource, CredentialSourceOptions } from "./credential-source.ts";
export { defineAuthProvider } from "./define-auth-provider.ts";
export type { RemoteKeysOptions } from "./jwks-source.ts";
export { createJwtAuth, type JwtAuthOptions } from "./jwt-auth.ts";
export type { JwtKeys } from "./jwt-keys.ts";
export { requireAuth } from "./require-auth.ts";
export type { StaticKey } from "./static-keys.ts";
export { type TlsFilesOptions, watchTlsFiles } from "./tls-files.ts";
export type { TlsMaterial, TlsUpdates } from "./tls-material.ts";
export { createTlsSource, type TlsReload, type TlsSource, type TlsSourceOptions } from "./tls-source.ts";
export {
  type CredentialVerifier,
  createApiKeyAuth,
  createTokenAuth,
  type TokenAuthOptions,
  type VerifiedCredential,
} from "./token-auth.ts";
