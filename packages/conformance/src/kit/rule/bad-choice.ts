/** Something that the caller chose is wrong. The message goes on after the name of the flag. */
export class BadChoice extends TypeError {
  override readonly name = "BadChoice";
  /** Name of the flag of the commands, without dashes. */
  readonly flag: string;

  constructor(flag: string, message: string) {
    super(message);
    this.flag = flag;
  }
}
