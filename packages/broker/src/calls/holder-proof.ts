import { Code } from "@connectrpc/connect";
import type { IdentityRegistry, RuntimeIdentity } from "@cpg/core";
import { grantRefused } from "../grant-refused.ts";
import type { CallCredentials } from "./call-credentials.ts";

/**
 * Checks that a call comes from the holder of its grant: always when it shows who it is from, and when proof is required
 * also that it does.
 * @returns whether it proves that.
 * @throws {ConnectError} `unauthenticated` when the proof lacks or is wrong, `permission_denied` when it is another's.
 */
export function checkHolderProof(
  identities: Pick<IdentityRegistry, "verify">,
  holder: RuntimeIdentity,
  proof: CallCredentials["proof"],
  isRequired: boolean,
): boolean {
  if (proof === undefined) {
    if (!isRequired) return false;
    const message =
      "this capability asks for proof of who holds the grant: X-Plugin-Runtime-ID and X-Plugin-Runtime-Token";
    throw grantRefused(message, Code.Unauthenticated);
  }
  const caller = verified(identities, proof);
  if (caller !== holder) throw grantRefused("the grant is another plugin's", Code.PermissionDenied);
  return true;
}

function verified(
  identities: Pick<IdentityRegistry, "verify">,
  { runtimeId, token }: NonNullable<CallCredentials["proof"]>,
): RuntimeIdentity {
  try {
    return identities.verify(runtimeId, token);
  } catch (reason) {
    const message = "X-Plugin-Runtime-ID and X-Plugin-Runtime-Token prove no live runtime identity";
    throw grantRefused(message, Code.Unauthenticated, reason);
  }
}
