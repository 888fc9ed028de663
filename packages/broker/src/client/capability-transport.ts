import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { isGrantRefused } from "../grant-refused.ts";
import type { LiveGrant } from "./grant-source.ts";
import type { HeldGrant } from "./held-grant.ts";

/**
 * A transport whose calls go under the grant that is held at the time, and wait for it if there is none. When the host
 * says that it does not know the grant, there will be another for the next call; a unary call that the capability has not
 * seen is sent once more under that, a stream is not, since its messages may be gone.
 */
export function createCapabilityTransport(held: HeldGrant, clock: Clock): Transport {
  /** Makes a call under the grant, in what is left of its time. */
  const send = async <T>(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    call: (grant: LiveGrant, timeoutMs: number | undefined) => Promise<T>,
  ): Promise<T> => {
    const ready = held.current;
    if (ready !== undefined) return await call(ready, timeoutMs);
    const left = countdown(clock, timeoutMs);
    const grant = await held.get(
      signal,
      timeoutMs === undefined || timeoutMs <= 0 ? Number.POSITIVE_INFINITY : timeoutMs,
    );
    return await call(grant, left());
  };
  /** Whether the call was refused before the capability saw it. */
  const look = (grant: LiveGrant, reason: unknown): boolean => {
    const error = ConnectError.from(reason);
    const refused = isGrantRefused(error);
    // Other hosts answer without the note; a plain 401 is theirs alone.
    if (refused || error.code === Code.Unauthenticated) held.forget(grant);
    return refused;
  };
  return {
    unary: (method, signal, timeoutMs, header, input, values) =>
      send(signal, timeoutMs, async (grant, leftMs) => {
        const left = countdown(clock, leftMs);
        try {
          return await grant.transport.unary(method, signal, leftMs, header, input, values);
        } catch (reason) {
          if (!look(grant, reason)) throw reason;
        }
        return await send(signal, left(), async (other, lastMs) => {
          try {
            return await other.transport.unary(method, signal, lastMs, header, input, values);
          } catch (reason) {
            look(other, reason);
            throw reason;
          }
        });
      }),
    stream: (method, signal, timeoutMs, header, input, values) =>
      send(signal, timeoutMs, async (grant, leftMs) => {
        try {
          const response = await grant.transport.stream(method, signal, leftMs, header, input, values);
          // The errors of a stream come with its end.
          return { ...response, message: observed(response.message, (reason) => void look(grant, reason)) };
        } catch (reason) {
          look(grant, reason);
          throw reason;
        }
      }),
  };
}

/** What is left of a time-out, from now on. One that is no bound, as Connect has it, stays as it is. */
function countdown(clock: Clock, timeoutMs: number | undefined): () => number | undefined {
  const beganMs = clock.monotonic();
  return () => {
    if (timeoutMs === undefined || timeoutMs <= 0) return timeoutMs;
    return Math.max(1, Math.ceil(timeoutMs - (clock.monotonic() - beganMs)));
  };
}

async function* observed<T>(
  messages: AsyncIterable<T>,
  onError: (reason: unknown) => void,
): AsyncGenerator<T, void, void> {
  try {
    yield* messages;
  } catch (reason) {
    onError(reason);
    throw reason;
  }
}
