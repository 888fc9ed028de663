import { ConnectError } from "@connectrpc/connect";
import { LaunchError, type LaunchStage } from "@cpg/core";
import { platformFailed } from "./platform-error.ts";
import type { StartStage } from "./plugin-state.ts";

/** The stage that a launch failed at, as far as its error tells. */
export function stageOf(reason: unknown): LaunchStage | undefined {
  const { cause } = ConnectError.from(reason);
  return cause instanceof LaunchError ? cause.stage : undefined;
}

/** Why a plugin did not start. Its cause is a PlatformError. */
export function startFailed(plugin: string, stage: StartStage, reason: unknown): ConnectError {
  const { cause } = ConnectError.from(reason);
  const launch = cause instanceof LaunchError ? cause : undefined;
  // What an introduction fails with tells more than that it failed.
  const inner = launch?.stage === "introduce" ? launch.cause : undefined;
  return platformFailed({ plugin, stage, stderrTail: launch?.stderrTail, reason: inner ?? reason });
}
