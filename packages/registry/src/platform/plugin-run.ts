import type { ConnectError } from "@connectrpc/connect";
import type { PluginServer } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import type { Registry } from "../create-registry.ts";
import type { GraphPlugin } from "../graph/graph-plugin.ts";
import type { HandshakeTurns } from "./handshake-turns.ts";
import type { HandshakeWatch } from "./handshake-watch.ts";
import type { PlatformPlugin } from "./platform-plugin.ts";
import type { RunSnapshot } from "./plugin-snapshot.ts";
import type { PluginState, StartStage } from "./plugin-state.ts";

export interface PluginRunParts {
  readonly plugin: PlatformPlugin;
  readonly host: Pick<PluginServer, "identities" | "publicUrl">;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  /** Aborts when the platform begins to stop its plugins, and leaves none. */
  readonly hostClosing: AbortSignal;
  /** What it registers gets no calls until `promote`. */
  readonly standby: boolean;
  watchHandshake(selfId: string, standby: boolean): HandshakeWatch;
  readonly handshakeTurns: HandshakeTurns;
  /** @throws {ConnectError} `failed_precondition` when something lacks that it cannot do without. */
  checkDependencies(plugin: Omit<GraphPlugin, "id">): void;
  /** Its state has changed. */
  onState(from: PluginState, error: ConnectError | undefined): void;
}

export interface RetireOptions {
  /** How long its routed calls may take to finish, in ms. */
  readonly graceMs: number;
  /** How long it may take to end by itself then, in ms. */
  readonly stopGraceMs: number;
  readonly reason: string;
  /** Whether one that runs elsewhere is asked to end, if it may be. */
  readonly asksToEnd: boolean;
  /** Cuts the time for its calls short. */
  readonly hurry?: AbortSignal | undefined;
  /** Whether it stays for the next host, if it can. Default false. */
  readonly leave?: boolean | undefined;
}

export interface Retirement {
  readonly callsCut: number;
  readonly drainMs: number;
  readonly stopMs: number;
}

/** A program that a plugin is, under supervision: with one process after the other, if they crash. */
export interface PluginRun {
  readonly plugin: PlatformPlugin;
  readonly state: PluginState;
  /** The identity of the present process, if it has one. */
  readonly runtimeId: string | undefined;
  /** The furthest stage that its start has reached. */
  readonly reached: StartStage;
  snapshot(): RunSnapshot;
  /** Whether it provides a type, or is to. */
  provides(type: string): boolean;
  /**
   * Starts it, once. If that fails it is not tried again.
   * @throws {ConnectError} cause: PlatformError.
   */
  start(signal: AbortSignal): Promise<void>;
  /** What it registers from now on gets calls. */
  promote(): void;
  /** Lets its calls finish, ends it and starts it again. @throws as `start`. */
  restart(graceMs: number, signal: AbortSignal): Promise<void>;
  /** Lets its calls finish, if it runs, and ends it. Idempotent. @throws {ConnectError} `deadline_exceeded` if it does not end. */
  retire(options: RetireOptions): Promise<Retirement>;
}
