import { Code, ConnectError } from "@connectrpc/connect";
import type { AccessRequest } from "./access-policy.ts";
import type { AccessReason } from "./decide-access.ts";

/** Policy says no. Cause of the `permission_denied` that a plugin gets. */
export class AccessDeniedError extends Error {
  override readonly name = "AccessDeniedError";
  readonly reason: AccessReason;
  /** Name of the rule that denied it. Stays in this process. */
  readonly rule: string | undefined;

  constructor(message: string, reason: AccessReason, rule: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.rule = rule;
  }
}

/** `permission_denied`, saying what would have to be different. */
export function accessDenied(request: AccessRequest, reason: AccessReason, rule?: string, error?: unknown) {
  const { action, identity, type } = request;
  const message = `policy: ${identity.selfId} may not ${action} "${type}": ${explain(request, reason)}`;
  const cause = new AccessDeniedError(message, reason, rule, error === undefined ? undefined : { cause: error });
  return new ConnectError(message, Code.PermissionDenied, undefined, undefined, cause);
}

function explain({ action, version }: AccessRequest, reason: AccessReason): string {
  const declare = action === "register" ? `provide it in version ${version}` : "require it";
  switch (reason) {
    case "type-taken":
      return "another plugin provides this type";
    case "undeclared":
      return `it did not declare to ${declare}`;
    case "strict":
      return `it did not declare to ${declare}, and this host allows only what is declared`;
    default:
      return "a rule of this host denies it";
  }
}
