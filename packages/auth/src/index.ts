export { type AuthContext, authKey, getAuth } from "./auth-context.ts";
export type { AuthOutcome, AuthProvider, AuthRequest } from "./auth-provider.ts";
export { type TlsFilesOptions, watchTlsFiles } from "./tls-files.ts";
export type { TlsMaterial, TlsUpdates } from "./tls-material.ts";
export { createTlsSource, type TlsReload, type TlsSource, type TlsSourceOptions } from "./tls-source.ts";
