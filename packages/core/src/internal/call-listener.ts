/** Calls what others handed in. What it throws, or rejects with if it is asynchronous, goes to `onError`. */
export function callListener(call: () => unknown, onError: (error: unknown) => void): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(onError);
  } catch (error) {
    onError(error);
  }
}
