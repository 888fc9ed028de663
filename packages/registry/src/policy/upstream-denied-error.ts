import { Code, ConnectError } from "@connectrpc/connect";
import type { UpstreamReason } from "./decide-upstream.ts";

/** The host does not connect there. Cause of the `permission_denied` that says so. */
export class UpstreamDeniedError extends Error {
  override readonly name = "UpstreamDeniedError";
  readonly reason: UpstreamReason;

  constructor(message: string, reason: UpstreamReason) {
    super(message);
    this.reason = reason;
  }
}

/** `permission_denied`, naming the field and the rule; never what a name resolved to. */
export function upstreamDenied(field: string, reason: UpstreamReason): ConnectError {
  const cause = new UpstreamDeniedError(`${field} ${explain(reason)}`, reason);
  return new ConnectError(cause.message, Code.PermissionDenied, undefined, undefined, cause);
}

function explain(reason: UpstreamReason): string {
  switch (reason) {
    case "own-listener":
      return "must not lead to the host itself";
    case "cleartext":
      return "must be https: the policy of this host asks for it";
    case "rule":
      return "is denied by a rule of this host";
    default:
      return "must name the address that the plugin registers from, or one that the policy of this host allows";
  }
}
