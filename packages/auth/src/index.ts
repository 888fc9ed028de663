// For clients and servers.
export { nodePeer, type Peer, type PeerTls, peerKey } from "@cpg/resilience";
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
export {
  behindCertificateGate,
  type CertificateGate,
  type CertificateGateOptions,
  certificateGate,
} from "./certificate-gate.ts";
export { type ClientTls, type ClientTlsSettings, clientTls } from "./client-tls.ts";
export { composeAuth } from "./compose-auth.ts";
export type { Credential, CredentialSource, CredentialSourceOptions } from "./credential-source.ts";
export { defineAuthProvider } from "./define-auth-provider.ts";
export { createForwardedClientCertAuth, type ForwardedClientCertAuthOptions } from "./forwarded-client-cert-auth.ts";
export type { RemoteKeysOptions } from "./jwks-source.ts";
export { createJwtAuth, type JwtAuthOptions } from "./jwt-auth.ts";
export type { JwtKeys } from "./jwt-keys.ts";
export { createMtlsAuth, type MtlsAuthOptions } from "./mtls-auth.ts";
export type { CertificateIdentity } from "./mtls-identity.ts";
export type { PeerCertificate } from "./peer-certificate.ts";
export { requireAuth } from "./require-auth.ts";
export { rotateTls, type ServerTls, type ServerTlsSettings, serverTls } from "./server-tls.ts";
export { parseSpiffeId, type SpiffeId } from "./spiffe-id.ts";
export type { StaticKey } from "./static-keys.ts";
export type { SubjectAltNames } from "./subject-alt-name.ts";
export { type TlsFilesOptions, watchTlsFiles } from "./tls-files.ts";
export type { TlsMaterial, TlsUpdates } from "./tls-material.ts";
export { createTlsSource, type TlsReload, type TlsSource, type TlsSourceOptions } from "./tls-source.ts";
export type { TlsSupply } from "./tls-supply.ts";
export {
  type CredentialVerifier,
  createApiKeyAuth,
  createTokenAuth,
  type TokenAuthOptions,
  type VerifiedCredential,
} from "./token-auth.ts";
