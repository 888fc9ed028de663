/** The program does something else than the rule expects. */
export class BrokenRule extends Error {
  override readonly name = "BrokenRule";
  readonly seen: string;

  constructor(seen: string) {
    super(seen);
    this.seen = seen;
  }
}

/** The program does not serve what the rule is about, and PROTOCOL.md lets it. */
export class NotServed extends Error {
  override readonly name = "NotServed";
  readonly seen: string;

  constructor(seen: string) {
    super(seen);
    this.seen = seen;
  }
}

/** Nothing to look at, not even for a program that serves all. */
export class NotApplicable extends Error {
  override readonly name = "NotApplicable";
}
