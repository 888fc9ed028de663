// The grants alone: for hosts that put a broker of their own together, and for benches.
export { type CreateGrantsOptions, createGrants } from "./grants/create-grants.ts";
export type { Grant, GrantEnd } from "./grants/grant.ts";
export type {
  DeriveTerms,
  EnteredCall,
  GrantChange,
  GrantLimits,
  Grants,
  IssuedGrant,
  IssueTerms,
} from "./grants/grants.ts";
