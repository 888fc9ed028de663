import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { within } from "../internal/bounded.ts";
import { createReplayable } from "../internal/replayable.ts";
import { ConnectionError } from "../wire/call-error.ts";
import type { Connected } from "./open-connection.ts";

export interface FailoverTransportOptions<C extends Connected> {
  /** The connection that calls use now, if there is one. */
  current(): C | undefined;
  /** The same, or the next one when it is made. */
  connected(): Promise<C>;
  /** No connection to its endpoint can be made: calls go elsewhere from now on. */
  onUnreached(connected: C): void;
  readonly clock: Clock;
}

/** Endpoints that one call tries, each after a handshake with it. */
const maxAttempts = 3;
/** Messages of a stream that are kept until the server answers. One that has sent more is not sent again. */
const keptMessages = 16;

/**
 * A transport over whichever connection there is. A call of which nothing was sent, because no connection to its endpoint
 * could be made, is sent over the next one, all within its time-out. What may have been processed fails.
 */
export function createFailoverTransport<C extends Connected>(options: FailoverTransportOptions<C>): Transport {
  const { current, connected, onUnreached, clock } = options;

  const late = () => new ConnectError("the time of the call was up before a connection", Code.DeadlineExceeded);
  const waitFor = async (leftMs: number | undefined, signal: AbortSignal | undefined): Promise<C> => {
    try {
      return await within(clock, leftMs ?? Number.POSITIVE_INFINITY, connected, late, signal);
    } catch (reason) {
      throw signal?.aborted ? ConnectError.from(reason, Code.Canceled) : reason;
    }
  };

  const send = async <T>(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    mayRepeat: () => boolean,
    call: (now: C, leftMs: number | undefined) => Promise<T>,
  ): Promise<T> => {
    // As with Connect's transports, 0 and less mean none: what is left of a time-out must not become that.
    const deadlineMs = timeoutMs !== undefined && timeoutMs > 0 ? clock.monotonic() + timeoutMs : undefined;
    const leftMs = () => (deadlineMs === undefined ? undefined : Math.max(0, deadlineMs - clock.monotonic()));
    for (let attempt = 1; ; attempt++) {
      const now = current() ?? (await waitFor(leftMs(), signal));
      const forCallMs = leftMs();
      if (forCallMs === 0) throw late();
      try {
        return await call(now, deadlineMs === undefined ? timeoutMs : forCallMs);
      } catch (reason) {
        const stage = failedStage(reason);
        if (stage === undefined || stage === "call") throw reason;
        onUnreached(now);
        // What TLS refuses late may have been sent.
        if (stage === "tls" || attempt === maxAttempts || signal?.aborted || leftMs() === 0 || !mayRepeat()) {
          throw reason;
        }
      }
    }
  };

  return {
    unary(method, signal, timeoutMs, header, input, values) {
      const always = () => true;
      return send(signal, timeoutMs, always, ({ calls }, leftMs) =>
        calls.transport.unary(method, signal, leftMs, header, input, values),
      );
    },
    async stream(method, signal, timeoutMs, header, input, values) {
      const messages = createReplayable(input, { max: keptMessages, sizeOf: () => 1 });
      const ifKept = () => messages.kept;
      try {
        const response = await send(signal, timeoutMs, ifKept, ({ calls }, leftMs) =>
          calls.transport.stream(method, signal, leftMs, header, messages.open(), values),
        );
        messages.accepted();
        return response;
      } catch (reason) {
        messages.fail(reason);
        throw reason;
      }
    },
  };
}

/** How far the connection of a call came that failed with it. */
function failedStage(reason: unknown): ConnectionError["stage"] | undefined {
  for (let error = reason, depth = 0; error instanceof Error && depth < 8; error = error.cause, depth++) {
    if (error instanceof ConnectionError) return error.stage;
  }
  return undefined;
}
