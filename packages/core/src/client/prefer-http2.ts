import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { within } from "../internal/bounded.ts";
import type { CallTransport } from "../wire/call-transport.ts";
import { createServiceClient } from "./service-client.ts";

export interface PreferHttp2Options {
  /** The transport of HTTP/1.1 that works; closed when HTTP/2 works, too. */
  readonly http1: CallTransport;
  openHttp2(): CallTransport;
  /** Bound on the call that has to get through, connecting included, in ms. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * Changes to HTTP/2 towards a server that announced it. The announcement may have come through a proxy that speaks
 * HTTP/1.1 only, so one call has to get through first.
 * @throws the reason of `signal`, with both transports closed.
 */
export async function preferHttp2(options: PreferHttp2Options): Promise<CallTransport> {
  const { http1, openHttp2, timeoutMs, signal, clock } = options;
  const http2 = openHttp2();
  const health = createServiceClient(HealthService, http2.transport);
  try {
    await within(
      clock,
      timeoutMs,
      (attempt) => health.check({}, { signal: attempt }),
      () => new ConnectError(`no answer over HTTP/2 within ${timeoutMs} ms`, Code.DeadlineExceeded),
      signal,
    );
  } catch (reason) {
    if (signal.aborted || provesNothing(ConnectError.from(reason))) {
      await http2.close();
      if (!signal.aborted) return http1;
      await http1.close();
      throw signal.reason;
    }
  }
  await http1.close();
  return http2;
}

/** Whether an error leaves open that the server speaks HTTP/2 at all. Any other code was sent by the server. */
function provesNothing({ code }: ConnectError): boolean {
  return (
    code === Code.Unavailable ||
    code === Code.Internal ||
    code === Code.Unknown ||
    code === Code.DeadlineExceeded ||
    code === Code.Canceled
  );
}
