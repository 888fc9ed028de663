/** What is wrong with the .proto files, one line for each problem: `file:line: rule`. */
export class BadInputError extends Error {
  override readonly name = "BadInputError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}
