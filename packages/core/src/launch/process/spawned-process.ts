import { Code } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { askWithin } from "../ask-within.ts";
import { launchFailed } from "../launch-error.ts";
import type { ExitReport, StopRequest } from "../launch-strategy.ts";
import { checkStopGrace, DEFAULT_TERM_GRACE_MS } from "../stop-grace.ts";
import type { Guardian } from "./guardian.ts";
import { groupGone, signalGroup } from "./process-group.ts";
import type { ProcessOutput } from "./process-output.ts";

export interface SpawnedProcess {
  readonly exited: Promise<ExitReport>;
  stop(request: StopRequest): Promise<ExitReport>;
  kill(): Promise<ExitReport>;
}

export interface SpawnedProcessOptions {
  readonly plugin: string;
  /** Leads a group of its own that the guardian watches. */
  readonly pid: number;
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly output: ProcessOutput;
  readonly guardian: Guardian;
  readonly clock: Clock;
  /** Gives back what the launch took. Must not throw. */
  cleanUp(): Promise<void>;
  /** Gives the process up so that another host may have it. False: that cannot be. Never rejects. */
  leave(): Promise<boolean>;
  /** It was given up: nothing of this process has to do with it any more. */
  left(): void;
  /** It is going to be ended: whatever happens to this process now, it does not outlive it. */
  release(): void;
  /** It has ended. */
  forget(): void;
}

/** Neither is known of a process that is no child of this one. */
export type ProcessEnd = Pick<ExitReport, "code" | "signal">;

/** How long a process may take to go after SIGKILL, and output to end after its writers went. */
const killBoundMs = 10_000;
const outputBoundMs = 1_000;

/**
 * Follows a process that has just been spawned to its end.
 *
 *     how       event                        next      effect
 *     exited    stop with askToStop          asked     asks, waits up to graceMs
 *     exited    stop without                 sigterm   SIGTERM to the group, waits up to termGraceMs
 *     exited    stop that leaves it          detached  nothing is done to it any more; it is given up
 *     asked     asking failed, grace over    sigterm   the same
 *     sigterm   grace over                   sigkill   SIGKILL to the group
 *     any       kill                         sigkill   SIGKILL to the group
 *     any       the leader exits             (final)   SIGKILL to the rest of the group; all is given back
 *
 * The leader counts as the plugin: once it is gone nothing of its group is waited for.
 */
export function followProcess(options: SpawnedProcessOptions): SpawnedProcess {
  const { plugin, pid, ended, output, guardian, clock, cleanUp, leave, left, release, forget } = options;
  let how: ExitReport["how"] = "exited";
  const gone = new AbortController();
  const { promise: exited, resolve } = Promise.withResolvers<ExitReport>();

  void ended.then(async ({ code, signal }) => {
    if (how === "detached") return;
    const report: ExitReport = { code, signal, how };
    gone.abort();
    forget();
    if (signalGroup(pid, "SIGKILL")) await groupGone(pid, clock);
    guardian.forget(pid);
    await output.finish(outputBoundMs);
    await cleanUp();
    resolve(report);
  });

  const send = (signal: "SIGTERM" | "SIGKILL"): void => {
    if (gone.signal.aborted) return; // it may be somebody else's by now, or its number
    how = signal === "SIGTERM" ? "sigterm" : "sigkill";
    signalGroup(pid, signal);
  };

  /** Resolves after `ms`, or when the leader exits. */
  const exitWithin = async (ms: number): Promise<void> => {
    await clock.sleep(ms, gone.signal).catch(() => {}); // it has exited
  };

  const afterKill = async (): Promise<ExitReport> => {
    const bound = new AbortController();
    const late = clock.sleep(killBoundMs, bound.signal).then(() => {
      const reason = `process ${pid} is still there ${killBoundMs} ms after SIGKILL`;
      throw launchFailed({ plugin, stage: "stop", running: output, reason, code: Code.DeadlineExceeded });
    });
    late.catch(() => {}); // stopped, as a rule
    try {
      return await Promise.race([exited, late]);
    } finally {
      bound.abort();
    }
  };

  const leaveOrEnd = async (request: StopRequest): Promise<ExitReport> => {
    if (request.leave !== true || gone.signal.aborted || !(await leave())) return await runLadder(request);
    if (gone.signal.aborted || how === "sigkill") return await exited; // a kill came first
    how = "detached";
    gone.abort();
    left();
    await output.finish(0);
    resolve({ code: null, signal: null, how });
    return await exited;
  };

  const runLadder = async ({ graceMs, termGraceMs = DEFAULT_TERM_GRACE_MS, askToStop }: StopRequest) => {
    if (!gone.signal.aborted) release();
    if (askToStop !== undefined && graceMs > 0 && !gone.signal.aborted) {
      how = "asked";
      await askWithin({ graceMs, askToStop, gone: gone.signal, clock });
    }
    if (!gone.signal.aborted && how !== "sigkill") {
      send("SIGTERM");
      await exitWithin(termGraceMs);
    }
    send("SIGKILL");
    return await afterKill();
  };

  let stopping: Promise<ExitReport> | undefined;
  return {
    exited,
    async stop(request) {
      checkStopGrace(request);
      stopping ??= leaveOrEnd(request);
      return await stopping;
    },
    kill() {
      if (!gone.signal.aborted) release();
      send("SIGKILL");
      return afterKill();
    },
  };
}
