/**
 * Tells the process that forked this one where it serves, and ends this one, after `close`, once that one lets go of it or
 * is gone.
 * @throws {Error} in a process that was not forked.
 */
export function tellAddress(address: string, close: () => Promise<void> | void): void {
  if (process.send === undefined) throw new Error("this program is to be forked by the bench");
  process.once("disconnect", () => {
    void Promise.resolve(close()).finally(() => process.exit(0));
  });
  process.send(address);
}
