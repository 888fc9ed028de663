/** What counts for a decision. */
export interface AccessFacts {
  /** What the host's rules say; undefined when none fits. */
  readonly ruled: "allow" | "deny" | undefined;
  /** Whether the plugin declared it: undefined for one that declares nothing at all. */
  readonly declared: boolean | undefined;
  /** Nothing that is undeclared is allowed to this plugin. */
  readonly strict: boolean;
  /** A registration, for a type that belongs to another plugin. */
  readonly taken: boolean;
}

/** What a decision rests on. */
export type AccessReason =
  /** A rule of the host. */
  | "rule"
  /** The plugin declared it. */
  | "declared"
  /** The plugin declares nothing, and the host is not strict. */
  | "declares-nothing"
  /** The plugin declared other things, but not this. */
  | "undeclared"
  /** The plugin declares nothing, and the host is strict. */
  | "strict"
  /** A plugin with another self_id provides the type. */
  | "type-taken";

export interface AccessVerdict {
  readonly allowed: boolean;
  readonly reason: AccessReason;
}

/**
 * Decides one request. Pure. The first row that fits:
 *
 * | ruled | taken | declared | strict | verdict                   |
 * |-------|-------|----------|--------|---------------------------|
 * | deny  |       |          |        | denied: rule              |
 * | allow |       |          |        | allowed: rule             |
 * |       | yes   |          |        | denied: type-taken        |
 * |       |       | yes      |        | allowed: declared         |
 * |       |       | no       |        | denied: undeclared        |
 * |       |       | nothing  | yes    | denied: strict            |
 * |       |       | nothing  | no     | allowed: declares-nothing |
 */
export function decideAccess({ ruled, declared, strict, taken }: AccessFacts): AccessVerdict {
  if (ruled !== undefined) return { allowed: ruled === "allow", reason: "rule" };
  if (taken) return { allowed: false, reason: "type-taken" };
  if (declared !== undefined) return { allowed: declared, reason: declared ? "declared" : "undeclared" };
  return strict ? { allowed: false, reason: "strict" } : { allowed: true, reason: "declares-nothing" };
}
