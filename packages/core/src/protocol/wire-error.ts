import { Code, ConnectError } from "@connectrpc/connect";

/** A value from a peer broke a rule of the protocol. Cause of the `invalid_argument` that names both. */
export class FieldError extends Error {
  override readonly name = "FieldError";
  readonly field: string;
  readonly rule: string;

  constructor(field: string, rule: string) {
    super(`${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

/** `invalid_argument`, naming the field and the rule it breaks. */
export function invalidField(field: string, rule: string): ConnectError {
  const cause = new FieldError(field, rule);
  return new ConnectError(cause.message, Code.InvalidArgument, undefined, undefined, cause);
}
