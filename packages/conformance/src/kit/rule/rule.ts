/** Who asks for a rule: the protocol of every peer, or only of ours, which is stricter than the Go implementation. */
export type RuleLevel = "protocol" | "ours";

/** Headings of PROTOCOL.md. "Errors" and "Limits" are the table and the list below "Defaults". */
export type Section =
  | "Wire protocol"
  | "Messages"
  | "Services"
  | "HTTP beside the RPCs"
  | "Defaults"
  | "Errors"
  | "Limits"
  | "The two deployment models"
  | "Where we are stricter than the Go implementation";

/** One sentence of PROTOCOL.md, and how it is seen from outside whether a program keeps it. */
export interface Rule<Subject> {
  /** Group and name, "discover.min-version". Never reused for anything else. */
  readonly id: string;
  /** Where PROTOCOL.md says so. */
  readonly section: Section;
  /** What is expected. */
  readonly expects: string;
  /** Default "protocol". */
  readonly level?: RuleLevel | undefined;
  /** PROTOCOL.md lets a program of others not serve it. Default false. */
  readonly mayLack?: boolean | undefined;
  /** Rules without which this one cannot be looked at. They come earlier. */
  readonly needs?: readonly string[] | undefined;
  /**
   * Resolves when the rule is kept.
   * @throws {BrokenRule} when it is not. {NotServed} when the program does not serve that at all, which it may lack.
   * {NotApplicable} when there is nothing to look at. Anything else counts as broken.
   */
  check(subject: Subject): Promise<void>;
}
