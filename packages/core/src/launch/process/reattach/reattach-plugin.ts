import { Readable } from "node:stream";
import type { Clock } from "@cpg/resilience";
import type { LaunchRequest, RunningPlugin } from "../../launch-strategy.ts";
import { abortable } from "../abortable.ts";
import { type Guardian, hostGuardian } from "../guardian.ts";
import { readProcessOutput } from "../process-output.ts";
import { removeSocketDirectory, socketPathOf } from "../socket-directory.ts";
import { followProcess, type SpawnedProcess } from "../spawned-process.ts";
import type { PluginProgram } from "../start-plugin.ts";
import { followStranger } from "./follow-stranger.ts";
import { fingerprintOf, type KeptRun, keepRun } from "./keep-run.ts";
import { type OutputPipes, readOutputPipes } from "./output-pipes.ts";
import { processStart } from "./process-start.ts";
import { provesLaunched } from "./prove-launched.ts";
import type { ResolvedReattach } from "./reattach-options.ts";
import type { RunRecord } from "./run-record-schema.ts";
import { isPrivate, type NotedRun, openRecordDirectory, readRecords, takeRecord } from "./run-records.ts";

/** How long a plugin that is not taken over may take after SIGTERM, in ms. */
const endGraceMs = 1_000;

/**
 * Goes on with the plugin that an earlier host left, if there is one that is still the same process, was started in the same
 * way and proves that it knows the secret of its launch. Whatever else is left of that plugin is ended.
 * @throws {ConnectError} when the directory of the records cannot be used. {Error} of the system; the reason of `signal`.
 */
export async function reattachPlugin(
  program: PluginProgram,
  reattach: ResolvedReattach,
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<RunningPlugin | undefined> {
  const guardian = hostGuardian();
  await abortable(guardian.ready(), signal);
  await openRecordDirectory(reattach.directory);
  let taken: RunningPlugin | undefined;
  const take = async (noted: NotedRun): Promise<void> => {
    signal.throwIfAborted();
    const { record } = noted;
    if (!(await isFree(record)) || !(await takeOver(noted, guardian))) return;
    const pipes = openPipes(record.directory);
    const run = followRun(record, pipes, program, request);
    try {
      if (taken === undefined && pipes !== undefined && (await fits(record, program, request.clock, signal))) {
        taken = await run.keep(reattach);
        return;
      }
    } catch (error) {
      await run.kill();
      throw error;
    }
    await run.stop({ graceMs: 0, termGraceMs: endGraceMs });
  };
  try {
    for (const noted of await readRecords(reattach.directory, request.plugin)) await take(noted);
  } catch (error) {
    await taken?.kill();
    throw error;
  }
  return taken;
}

async function isFree({ host, left }: RunRecord): Promise<boolean> {
  return left || (await processStart(host.pid)) !== host.start;
}

/** False when it has ended, or when somebody else was first. */
async function takeOver({ path, record }: NotedRun, guardian: Guardian): Promise<boolean> {
  if ((await processStart(record.pid)) !== record.start) {
    if ((await takeRecord(path)) && (await isPrivate(record.directory))) {
      await removeSocketDirectory(record.directory, guardian);
    }
    return false;
  }
  // First: should this process be killed right after, the plugin goes with it.
  guardian.watch(record.pid);
  guardian.watchDirectory(record.directory);
  if (await takeRecord(path)) return true;
  guardian.forget(record.pid);
  guardian.forgetDirectory(record.directory);
  return false;
}

async function fits(record: RunRecord, program: PluginProgram, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const { directory, fingerprint, controlToken } = record;
  if (fingerprintOf(program, directory) !== fingerprint || !(await isPrivate(directory))) return false;
  return await provesLaunched({ endpoint: endpointOf(record), controlToken, clock, signal });
}

interface FollowedRun extends SpawnedProcess {
  /** Notes it as this host's. @throws {Error} of the system. */
  keep(reattach: ResolvedReattach): Promise<RunningPlugin>;
}

/** Undefined when they are gone: it can write no more then. */
function openPipes(directory: string): OutputPipes | undefined {
  try {
    return readOutputPipes(directory);
  } catch {
    return undefined;
  }
}

function followRun(
  record: RunRecord,
  pipes: OutputPipes = { stdout: Readable.from([]), stderr: Readable.from([]) },
  program: PluginProgram,
  request: LaunchRequest,
): FollowedRun {
  const { plugin, pid, controlToken, directory } = record;
  const { clock } = request;
  const guardian = hostGuardian();
  const stranger = followStranger({ ...record, ...pipes, clock });
  const output = readProcessOutput(pipes.stdout, pipes.stderr, {
    plugin,
    clock,
    maxLineBytes: program.maxLineBytes,
    maxLinesPerSecond: program.maxLinesPerSecond,
    onLog: (log) => request.onLog(log),
    onReadyLine: () => false, // it has been ready for long
  });
  let kept: KeptRun | undefined;
  const followed = followProcess({
    plugin,
    pid,
    ended: stranger.ended,
    output,
    guardian,
    clock,
    async cleanUp() {
      await removeSocketDirectory(directory, guardian);
    },
    leave: async () => (await kept?.leave()) ?? false,
    left: () => stranger.forget(),
    release: () => kept?.release(),
    forget: () => kept?.forget(),
  });
  return {
    ...followed,
    async keep(reattach) {
      kept = await keepRun(record, reattach, { guardian, hostClosing: request.hostClosing });
      const { exited, stop, kill } = followed;
      const { stderrTail } = output;
      return {
        endpoint: endpointOf(record),
        readiness: "reattached",
        exited,
        stop,
        kill,
        controlToken,
        pid,
        stderrTail,
      };
    },
  };
}

function endpointOf({ directory }: RunRecord): string {
  return `unix:${socketPathOf(directory)}`;
}
