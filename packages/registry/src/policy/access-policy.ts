import type { RuntimeIdentity } from "@cpg/core";

/** What a plugin wants to do. */
export interface AccessRequest {
  readonly action: "register" | "discover" | "watch" | "call";
  readonly identity: RuntimeIdentity;
  /** Service type. */
  readonly type: string;
  /** Version to be registered; of other actions undefined. */
  readonly version?: string | undefined;
  /** Of a call: runtime id of the provider that it goes to. */
  readonly providerId?: string | undefined;
  /** Of a call: path of the RPC, "/package.Service/Method", or any path of plain HTTP. */
  readonly method?: string | undefined;
}

export interface AccessPolicy {
  /** @throws {ConnectError} `permission_denied`. */
  check(request: AccessRequest): void;
}
