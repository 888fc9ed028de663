import { createClient } from "@connectrpc/connect";
import { PluginControl } from "../gen/connectplugin/v1/plugin_pb.ts";
import { type ControlConnection, openControlTransport } from "./control-transport.ts";

export interface AskToStopOptions extends ControlConnection {
  readonly graceMs: number;
  readonly reason: string;
  readonly signal: AbortSignal;
}

/** Plugins of ours take a longer grace for a mistake of units. */
const maxGraceSeconds = 24 * 60 * 60;

/**
 * Asks a plugin to finish its calls and to end. Resolves when it has agreed.
 * @throws {ConnectError} of the call: a foreign plugin may not serve PluginControl.
 */
export async function askToStop(options: AskToStopOptions): Promise<void> {
  const { controlToken, graceMs, reason, signal } = options;
  const calls = openControlTransport(options);
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
