/** The program does something else than the rule expects; the message says what. */
export class BrokenRule extends Error {
  override readonly name = "BrokenRule";
}

/** The program does not serve what the rule is about; the message says what it did instead. */
export class NotServed extends Error {
  override readonly name = "NotServed";
}

/** Nothing to look at, not even for a program that serves all; the message says why. */
export class NotApplicable extends Error {
  override readonly name = "NotApplicable";
}
