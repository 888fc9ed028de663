export { type AuthContext, authKey, getAuth } from "./auth-context.ts";
export type { AuthOutcome, AuthProvider, AuthRequest } from "./auth-provider.ts";
