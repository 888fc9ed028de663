import { Code, ConnectError } from "@connectrpc/connect";
import {
  type LaunchStrategy,
  type LogRecord,
  launchFailed,
  openCallTransport,
  parseEndpoint,
  type RunningPlugin,
  type RuntimeIdentity,
} from "@cpg/core";
import { type SupervisedProgram, within } from "@cpg/core/extension";
import { createBackoff } from "@cpg/resilience";
import type { AttachedPlugin } from "../attach/attached-plugin.ts";
import type { HandshakeWatch } from "./handshake-watch.ts";
import type { ForeignFacts } from "./platform-plugin.ts";
import type { ProgramParts } from "./supervise-program.ts";

export interface ForeignLaunch extends ProgramParts {
  readonly id: string;
  readonly strategy: LaunchStrategy;
  readonly foreign: ForeignFacts;
  readonly readyTimeoutMs: number | undefined;
  readonly onLog: ((record: LogRecord) => void) | undefined;
  readonly signal: AbortSignal;
}

const defaultGraceMs = 30_000;
const defaultReadyTimeoutMs = 10_000;

/**
 * Launches a program that may know nothing of ours, with PORT and HOST_URL, and attaches it where it listens. If it shakes
 * hands by itself, with the identity that it got. If any of that fails, nothing of it is left.
 * @throws {ConnectError} as the strategy does, and as `Registry.attach`.
 */
export async function launchForeign(parts: ForeignLaunch): Promise<SupervisedProgram> {
  const {
    id,
    strategy,
    foreign,
    host,
    clock,
    signal,
    onLaunched,
    onLog = () => {},
    readyTimeoutMs = defaultReadyTimeoutMs,
  } = parts;
  if (!(readyTimeoutMs > 0)) throw new RangeError(`readyTimeoutMs must be greater than 0, got ${readyTimeoutMs}`);
  const registersItself = foreign.registers === "itself";
  const endTurn = registersItself ? await parts.handshakeTurns.take(foreign.selfId, signal) : () => {};
  const watch = parts.watchHandshake(foreign.selfId);
  void watch.seen.then(endTurn);
  let running: RunningPlugin | undefined;
  try {
    running = await strategy.launch({
      plugin: id,
      signal,
      readyTimeoutMs,
      hostUrl: host.publicUrl,
      hostClosing: parts.hostClosing,
      handshakeSeen: registersItself ? watch.seen : undefined,
      onLog,
      clock,
    });
    onLaunched();
    const identity = registersItself ? await handshakeOf(parts, running, watch, readyTimeoutMs) : watch.identity;
    const attached = await introduceRunning(parts, running, identity);
    return programOf(parts, running, attached);
  } catch (reason) {
    await running?.kill();
    if (watch.identity !== undefined) host.identities.revoke(watch.identity.runtimeId, "released");
    throw reason;
  } finally {
    watch.stop();
    endTurn();
  }
}

/** @throws {ConnectError} `deadline_exceeded` without a handshake in time; how the program ended. */
async function handshakeOf(
  { id, foreign, clock, signal }: ForeignLaunch,
  running: RunningPlugin,
  { seen }: HandshakeWatch,
  timeoutMs: number,
): Promise<RuntimeIdentity> {
  const tooLate = () => {
    const reason = `it did not shake hands as ${foreign.selfId} within ${timeoutMs} ms`;
    return launchFailed({ plugin: id, stage: "handshake", running, reason, code: Code.DeadlineExceeded });
  };
  const ended = running.exited.then((exit): never => {
    throw launchFailed({ plugin: id, stage: "handshake", running, exit });
  });
  ended.catch(() => {}); // matters only until then
  return await within(clock, timeoutMs, () => Promise.race([seen, ended]), tooLate, signal);
}

async function introduceRunning(
  { foreign, introduce, signal, id, clock, readyTimeoutMs = defaultReadyTimeoutMs }: ForeignLaunch,
  running: RunningPlugin,
  identity: RuntimeIdentity | undefined,
): Promise<AttachedPlugin> {
  const { selfId, registers, provides, requires } = foreign;
  const ended = new AbortController();
  void running.exited.then((exit) =>
    ended.abort(launchFailed({ plugin: id, stage: "introduce", running, exit, code: Code.Unavailable })),
  );
  const registerWaitMs = registers === "itself" ? readyTimeoutMs : undefined;
  const cut = AbortSignal.any([signal, ended.signal]);
  const lastMs = clock.monotonic() + readyTimeoutMs;
  const backoff = createBackoff({ initialMs: 20, maxMs: 500, jitter: "none" });
  for (;;) {
    try {
      return await introduce(running.endpoint, { selfId, identity, provides, requires, registerWaitMs }, cut);
    } catch (reason) {
      cut.throwIfAborted();
      // One that shakes hands by itself may do so before it listens.
      const { code } = ConnectError.from(reason);
      if (running.readiness !== "handshake" || code !== Code.Unavailable || clock.monotonic() > lastMs) {
        throw launchFailed({ plugin: id, stage: "introduce", running, reason });
      }
    }
    await clock.sleep(backoff.next(), cut);
  }
}

function programOf({ clock }: ForeignLaunch, running: RunningPlugin, attached: AttachedPlugin): SupervisedProgram {
  const { endpoint, pid, exited } = running;
  void exited.then(() => attached.detach());
  return {
    endpoint,
    pid,
    exited,
    stderrTail: () => running.stderrTail(),
    stop({ graceMs = defaultGraceMs, termGraceMs, reason } = {}) {
      const askToStop = (signal: AbortSignal) => attached.shutdown({ graceMs, reason, signal });
      return running.stop({ graceMs, termGraceMs, askToStop });
    },
    kill: () => running.kill(),
    openTransport: () => openCallTransport({ endpoint: parseEndpoint(endpoint), httpVersion: "1.1", clock }),
  };
}
