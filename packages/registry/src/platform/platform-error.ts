import { Code, ConnectError } from "@connectrpc/connect";
import { LaunchError } from "@cpg/core";
import type { StartStage } from "./plugin-state.ts";

/** Where a replacement failed. Before "switch" the old plugin is untouched. */
export type ReplaceStage = "launch" | "introduce" | "health" | "check" | "switch" | "drain" | "stop";

/** Why a plugin of a platform did not start, or was not replaced. Cause of the `ConnectError` that `platformFailed` makes. */
export class PlatformError extends Error {
  override readonly name = "PlatformError";
  /** Its id in the platform. */
  readonly plugin: string;
  readonly stage: StartStage | ReplaceStage;
  /** The last lines that it wrote to stderr, oldest first. */
  readonly stderrTail: readonly string[];

  constructor(message: string, { plugin, stage, stderrTail = [], reason }: PlatformFailure) {
    super(message, reason === undefined ? undefined : { cause: reason });
    this.plugin = plugin;
    this.stage = stage;
    this.stderrTail = stderrTail;
  }
}

export interface PlatformFailure {
  readonly plugin: string;
  readonly stage: StartStage | ReplaceStage;
  readonly stderrTail?: readonly string[] | undefined;
  /** An error of a lower level, or a sentence of ours. */
  readonly reason: unknown;
  /** Default: the code of `reason` if it is a ConnectError, else `unavailable`. */
  readonly code?: Code | undefined;
}

/** Names the plugin, the stage and the reason. Its cause is a `PlatformError`, whose cause is the reason. */
export function platformFailed(failure: PlatformFailure): ConnectError {
  const { plugin, stage, reason } = failure;
  const error = reason instanceof ConnectError ? reason : undefined;
  const code = failure.code ?? error?.code ?? Code.Unavailable;
  const text = error?.rawMessage ?? (reason instanceof Error ? reason.message : String(reason));
  const stderrTail = failure.stderrTail ?? (error?.cause instanceof LaunchError ? error.cause.stderrTail : []);
  const message = `plugin ${plugin} failed at stage "${stage}": ${text}`;
  return new ConnectError(message, code, undefined, undefined, new PlatformError(message, { ...failure, stderrTail }));
}
