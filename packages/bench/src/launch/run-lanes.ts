/** Makes so many calls, `lanes` of them at a time. Rejects with the first failure; no call begins after it. */
export async function runLanes(calls: number, lanes: number, call: () => Promise<void>): Promise<void> {
  let left = calls;
  const lane = async () => {
    while (left > 0) {
      left--;
      await call();
    }
  };
  const stopAtFailure = (reason: unknown): never => {
    left = 0;
    throw reason;
  };
  await Promise.all(Array.from({ length: lanes }, () => lane().catch(stopAtFailure)));
}
