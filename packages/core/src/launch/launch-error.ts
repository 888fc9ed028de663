import { Code, ConnectError } from "@connectrpc/connect";
import type { ExitReport } from "./launch-strategy.ts";

/** How far a plugin got: its files, its process, readiness, the handshake, its introduction, calls, its end. */
export type LaunchStage = "verify" | "spawn" | "ready" | "handshake" | "introduce" | "running" | "stop";

/** Why a plugin does not run. Cause of the `ConnectError` that `launchFailed` makes. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  readonly plugin: string;
  readonly stage: LaunchStage;
  /** The last lines the plugin wrote to stderr, oldest first. */
  readonly stderrTail: readonly string[];
  /** How it ended, if it did. */
  readonly exit: ExitReport | undefined;

  constructor(
    message: string,
    facts: Omit<LaunchFailure, "reason" | "code" | "running"> & { readonly reason?: unknown },
  ) {
    super(message, facts.reason === undefined ? undefined : { cause: facts.reason });
    this.plugin = facts.plugin;
    this.stage = facts.stage;
    this.stderrTail = facts.stderrTail ?? [];
    this.exit = facts.exit;
  }
}

export interface LaunchFailure {
  readonly plugin: string;
  readonly stage: LaunchStage;
  /** Where to find the last lines of stderr. */
  readonly running?: { stderrTail(): readonly string[] } | undefined;
  /** The last lines of stderr, instead of those of `running`. */
  readonly stderrTail?: readonly string[] | undefined;
  readonly exit?: ExitReport | undefined;
  /** What went wrong: a sentence of ours, or the error of a lower level. Default: told from `exit`. */
  readonly reason?: unknown;
  /** Default: the code of `reason` if it is a ConnectError, else `unavailable`. */
  readonly code?: Code | undefined;
}

/** How many lines of stderr, and how many characters of each, an error message repeats. The cause has the rest. */
const messageLines = 10;
const messageLineLength = 400;

/**
 * The error of a plugin that could not be launched, or ended while it was needed: names the plugin, the stage it reached
 * and its last stderr lines. Its cause is a `LaunchError`.
 */
export function launchFailed(failure: LaunchFailure): ConnectError {
  const { plugin, stage, exit, reason } = failure;
  const stderrTail = failure.stderrTail ?? failure.running?.stderrTail() ?? [];
  const code = failure.code ?? (reason instanceof ConnectError ? reason.code : Code.Unavailable);
  const parts = [describeReason(reason), describeExit(exit)].filter((part) => part !== "");
  const message = `plugin ${plugin} failed (stage: ${stage}): ${parts.join("; ") || "no reason given"}${quote(stderrTail)}`;
  const cause = new LaunchError(message, { plugin, stage, stderrTail, exit, reason });
  return new ConnectError(message, code, undefined, undefined, cause);
}

function describeReason(reason: unknown): string {
  if (reason instanceof ConnectError) return reason.rawMessage;
  if (reason instanceof Error) return reason.message;
  return typeof reason === "string" ? reason : "";
}

function describeExit(exit: ExitReport | undefined): string {
  if (exit === undefined) return "";
  if (exit.how === "terminated") return "it was terminated";
  if (exit.how === "detached") return "it belongs to this host no more";
  return exit.signal === null ? `it exited with code ${exit.code}` : `it was ended by ${exit.signal}`;
}

function quote(tail: readonly string[]): string {
  if (tail.length === 0) return "";
  const lines = tail
    .slice(-messageLines)
    .map((line) => `  ${line.length > messageLineLength ? `${line.slice(0, messageLineLength)}…` : line}`);
  return `; last lines of its stderr:\n${lines.join("\n")}`;
}
