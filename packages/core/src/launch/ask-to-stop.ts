import { createClient } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { PluginControl } from "../gen/connectplugin/v1/plugin_pb.ts";
import { openCallTransport } from "../wire/call-transport.ts";
import { parseEndpoint } from "../wire/endpoint.ts";

export interface AskToStopOptions {
  readonly endpoint: string;
  readonly controlToken: string;
  readonly graceMs: number;
  readonly reason: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Plugins of ours take a longer grace for a mistake of units. */
const maxGraceSeconds = 24 * 60 * 60;

/**
 * Asks a plugin to finish its calls and to end. Resolves when it has agreed.
 * @throws {ConnectError} of the call: a foreign plugin may not serve PluginControl.
 */
export async function askToStop(options: AskToStopOptions): Promise<void> {
  const { endpoint, controlToken, graceMs, reason, clock, signal } = options;
  const calls = openCallTransport({ endpoint: parseEndpoint(endpoint), httpVersion: "1.1", clock });
  try {
    // At least 1: a grace of 0 would mean the plugin's own default.
    const gracePeriodSeconds = Math.min(Math.max(1, Math.floor(graceMs / 1000)), maxGraceSeconds);
    await createClient(PluginControl, calls.transport).shutdown(
      { gracePeriodSeconds, reason, controlToken },
      { signal },
    );
  } finally {
    await calls.close();
  }
}
