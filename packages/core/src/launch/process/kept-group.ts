/** A process group that outlives its host for a while, so that the next host can take it over. */
export interface KeptGroup {
  readonly pgid: number;
  /** The file that says so. Whoever removes it has the group: the next host, or the guardian when the time is over. */
  readonly record: string;
  /** Goes with the group. */
  readonly directory: string;
  /** The pipes that it writes to: somebody has to have them open. */
  readonly outputs: readonly string[];
  /** How long it may wait for the next host once its own has ended, in ms. */
  readonly withinMs: number;
}
