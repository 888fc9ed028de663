import type { Interceptor, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { type CuttableMessages, cuttableMessages } from "./cuttable-messages.ts";

type Next = Parameters<Interceptor>[0];

/**
 * Makes one call, of any kind, that somebody other than its two ends can end: for server interceptors. `follow` gets the
 * function that does, with the error for the caller, and returns how to let go of it, which is called when the call is
 * over. It may cut the call at once: then nothing runs. The handler's signal aborts with the end of the call.
 */
export async function cuttableCall(
  next: Next,
  req: UnaryRequest | StreamRequest,
  follow: (cut: (error: unknown) => void) => () => void,
): Promise<UnaryResponse | StreamResponse> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => {}); // nobody waits for it once the call has an answer
  const parts: CuttableMessages<unknown>[] = [];
  let end: { readonly error: unknown } | undefined;
  const release = follow((error) => {
    end ??= { error };
    reject(error);
    for (const part of parts) part.cut(error);
  });
  if (end !== undefined) {
    release();
    await ended;
  }
  if (!req.stream) {
    try {
      return await Promise.race([next(req), ended]);
    } finally {
      release();
    }
  }

  // The only sign that a stream is over which its reader abandoned between two messages.
  req.signal.addEventListener("abort", release, { once: true });
  const settle = (): void => {
    release();
    req.signal.removeEventListener("abort", release);
  };
  if (req.signal.aborted) settle();
  try {
    const requests = cuttableMessages(req.message, () => {});
    parts.push(requests);
    const res = await Promise.race([next({ ...req, message: requests.messages }), ended]);
    if (!res.stream) {
      settle();
      return res;
    }
    const responses = cuttableMessages(res.message, settle);
    parts.push(responses);
    // It may have been cut since the race was over.
    if (end !== undefined) responses.cut(end.error);
    return { ...res, message: responses.messages };
  } catch (reason) {
    settle();
    throw reason;
  }
}
