import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { PluginControl } from "../gen/connectplugin/v1/plugin_pb.ts";
import { within } from "../internal/bounded.ts";
import { ConnectionError } from "../wire/call-error.ts";
import type { CallTransport } from "../wire/call-transport.ts";

export interface ProbeRequest {
  /** Opens a connection for this probe alone: one that is kept might be closed by the plugin just as the next probe uses it. */
  openTransport(): CallTransport;
  /** Time before each probe, in ms. */
  readonly intervalMs: number;
  /** Bound on each, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What a probe met. */
export type ProbeResult =
  | { readonly kind: "answered" }
  /** Connected, as far as one can tell, but nothing came back in time: what a blocked event loop looks like. */
  | { readonly kind: "silent"; readonly error: ConnectError }
  /** No connection, or one that broke. */
  | { readonly kind: "unreachable"; readonly error: ConnectError }
  /** This process was held up itself, and could not have seen an answer. */
  | { readonly kind: "inconclusive" };

/**
 * Asks a plugin again and again whether it lives (PluginControl.GetHealth). Whatever it answers proves that: how healthy it
 * says it is does not matter here, and a foreign plugin may answer 404 or what nobody understands.
 * @throws the reason of `signal` when that aborts. Whatever else `openTransport` throws.
 */
export async function* probePlugin(request: ProbeRequest): AsyncGenerator<ProbeResult, never, void> {
  const { intervalMs, clock, signal } = request;
  for (;;) {
    await clock.sleep(intervalMs, signal);
    const result = await probeOnce(request);
    signal.throwIfAborted();
    yield result;
  }
}

async function probeOnce({ openTransport, timeoutMs, clock, signal }: ProbeRequest): Promise<ProbeResult> {
  const calls = openTransport();
  const startedMs = clock.monotonic();
  const silence = new ConnectError(`no answer to a probe within ${timeoutMs} ms`, Code.DeadlineExceeded);
  const ask = (cut: AbortSignal) => createClient(PluginControl, calls.transport).getHealth({}, { signal: cut });
  try {
    await within(clock, timeoutMs, ask, () => silence, signal);
    return { kind: "answered" };
  } catch (reason) {
    signal.throwIfAborted();
    if (reason === silence) {
      const late = clock.monotonic() - startedMs > 2 * timeoutMs;
      return late ? { kind: "inconclusive" } : { kind: "silent", error: silence };
    }
    const error = ConnectError.from(reason);
    return isAnswer(error) ? { kind: "answered" } : { kind: "unreachable", error };
  } finally {
    await calls.close();
  }
}

function isAnswer(error: ConnectError): boolean {
  if (!(error.cause instanceof ConnectionError)) return true;
  // Bytes came, though no HTTP that Node understands: whoever sent them is not blocked.
  return error.cause.code?.startsWith("HPE_") === true;
}
