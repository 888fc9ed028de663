/** The codes of Connect and gRPC: a code's number is its place. */
const names = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

export type CodeName = (typeof names)[number];

export function isCodeName(text: unknown): text is CodeName {
  return names.some((name) => name === text);
}

/** Of a grpc-status; undefined for one that is none. */
export function codeOfNumber(text: string): CodeName | undefined {
  return /^\d{1,2}$/.test(text) ? names[Number(text)] : undefined;
}
