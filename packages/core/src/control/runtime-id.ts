import { FIELD_LIMITS } from "../protocol/field-rules.ts";

const pattern = /^[a-zA-Z][a-zA-Z0-9_.-]*$/;
/** A self_id and a suffix. */
const maxBytes = 2 * FIELD_LIMITS.nameBytes;

/** What makes a runtime id, for messages. */
export const RUNTIME_ID_RULE = `must have at most ${maxBytes} bytes and match ${pattern.source}`;

export function isRuntimeId(text: string): boolean {
  return text.length <= maxBytes && pattern.test(text);
}
