import type { LogRecord, SupervisedPlugin } from "@cpg/core";
import { openCallTransport, type PluginServer, type PluginSet, parseEndpoint, supervisePlugin } from "@cpg/core";
import { type SupervisedProgram, superviseLaunches } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { AttachOptions } from "../attach/attach-options.ts";
import type { AttachTarget } from "../attach/attach-target.ts";
import type { AttachedPlugin } from "../attach/attached-plugin.ts";
import type { HandshakeTurns } from "./handshake-turns.ts";
import type { HandshakeWatch } from "./handshake-watch.ts";
import { launchForeign } from "./launch-foreign.ts";
import type { EndpointSpec, PlatformPlugin } from "./platform-plugin.ts";

export interface ProgramParts {
  readonly plugin: PlatformPlugin;
  readonly host: Pick<PluginServer, "identities" | "publicUrl">;
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  /** Aborts when the platform begins to stop its plugins, and leaves none. */
  readonly hostClosing: AbortSignal;
  /** Attaches what runs, and waits until it can be called. */
  introduce(
    target: AttachTarget,
    options: Omit<AttachOptions, "standby" | "onStage" | "signal">,
    signal: AbortSignal,
  ): Promise<AttachedPlugin>;
  /** The program runs, and is to shake hands. */
  onLaunched(): void;
  /** Waits for the identity of a program that shakes hands by itself. */
  watchHandshake(selfId: string): HandshakeWatch;
  /** When it is the turn of a program that shakes hands by itself to be launched. */
  readonly handshakeTurns: HandshakeTurns;
  /** Whether a program that runs elsewhere is to be asked to end with its supervision. */
  asksToEnd(): boolean;
}

/** Starts a plugin, of whatever kind, and keeps it running. @throws {TypeError} {RangeError} for bad options. */
export function superviseProgram(parts: ProgramParts): SupervisedPlugin<PluginSet> {
  const { plugin, clock, random, hostClosing, introduce } = parts;
  const { id, restart, probe, readyTimeoutMs } = plugin;
  const onLog = plugin.onLog as ((record: LogRecord) => void) | undefined;
  if (plugin.plugins !== undefined) {
    const { strategy, plugins, client } = plugin;
    return supervisePlugin<PluginSet>({
      ...client,
      name: id,
      strategy,
      plugins,
      restart,
      probe,
      readyTimeoutMs,
      onLog,
      clock,
      random,
      hostClosing,
      introduce: async (launched, { signal }) => void (await introduce(launched, {}, signal)),
    });
  }
  const choices = { name: id, restart, probe, clock, random };
  if (plugin.foreign !== undefined) {
    const { strategy, foreign } = plugin;
    const launch = (signal: AbortSignal) =>
      launchForeign({ ...parts, id, strategy, foreign, readyTimeoutMs, onLog, signal });
    return superviseLaunches({ ...choices, launch });
  }
  return superviseLaunches({ ...choices, launch: (signal) => attachEndpoint(plugin, parts, signal) });
}

async function attachEndpoint(
  plugin: EndpointSpec,
  parts: ProgramParts,
  signal: AbortSignal,
): Promise<SupervisedProgram> {
  const { clock, introduce, asksToEnd } = parts;
  const { endpoint, provides, requires } = plugin;
  const attached = await introduce(endpoint, { ...plugin.attach, provides, requires }, signal);
  const exited = attached.detached.then(() => ({ code: null, signal: null, how: "detached" as const }));
  const detach = () => {
    attached.detach();
    return exited;
  };
  return {
    endpoint,
    pid: undefined,
    exited,
    stderrTail: () => [],
    async stop({ graceMs, reason } = {}) {
      if (plugin.shutdown !== true || !asksToEnd()) return detach();
      try {
        await attached.shutdown({ graceMs, reason });
      } catch {
        return detach(); // it cannot be asked
      }
      return exited;
    },
    kill: detach,
    openTransport: () => openCallTransport({ endpoint: parseEndpoint(endpoint), httpVersion: "1.1", clock }),
  };
}
