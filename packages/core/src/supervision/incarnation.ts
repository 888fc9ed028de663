import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { PluginSet } from "../definition/plugin-set.ts";
import { LaunchError } from "../launch/launch-error.ts";
import { type LaunchedPlugin, type LaunchPluginOptions, launchPlugin } from "../launch/launch-plugin.ts";
import { introducePlugin } from "./introduce-plugin.ts";
import type { PluginEnd } from "./supervision-error.ts";
import type { Introduce } from "./supervision-options.ts";

/** One of the processes that a supervised plugin is, one after the other. */
export interface Incarnation {
  readonly plugin: Pick<
    LaunchedPlugin<PluginSet>,
    "endpoint" | "pid" | "exited" | "stderrTail" | "stop" | "kill" | "openTransport"
  >;
  /** A client for each plugin, by name. */
  readonly clients: ReadonlyMap<string, Client<DescService>>;
}

export interface IncarnationOptions<Plugins extends PluginSet> extends LaunchPluginOptions<Plugins> {
  readonly introduce?: Introduce<Plugins> | undefined;
  readonly signal: AbortSignal;
}

/**
 * Launches a plugin, makes its clients and introduces it. If any of that fails, nothing of it is left.
 * @throws as `launchPlugin`.
 */
export async function launchIncarnation<Plugins extends PluginSet>(
  options: IncarnationOptions<Plugins>,
): Promise<Incarnation> {
  const { introduce, signal } = options;
  const plugin = await launchPlugin<Plugins>(options);
  try {
    const clients = new Map<string, Client<DescService>>();
    for (const name of Object.keys(options.plugins)) clients.set(name, await plugin.dispense(name));
    if (introduce !== undefined) await introducePlugin(plugin, introduce, signal);
    return { plugin, clients };
  } catch (reason) {
    await plugin.kill();
    throw reason;
  }
}

/** Codes of launches that no other try can mend: files, programs, versions, plugins that do not fit. */
const final = new Set([Code.FailedPrecondition, Code.InvalidArgument, Code.NotFound]);

/** Whether another launch may do better. An error without a code is about the options. */
export function isMendable(reason: unknown): boolean {
  return reason instanceof ConnectError && !final.has(reason.code);
}

/** How a launch ended that failed. */
export function endOfLaunch(reason: unknown, timeMs: number): PluginEnd {
  const error = ConnectError.from(reason);
  const facts = error.cause instanceof LaunchError ? error.cause : undefined;
  return { cause: "launch-failed", timeMs, exit: facts?.exit, stderrTail: facts?.stderrTail ?? [], error };
}
