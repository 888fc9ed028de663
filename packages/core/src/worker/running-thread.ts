import type { Worker } from "node:worker_threads";
import { Code } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { askWithin } from "../launch/ask-within.ts";
import { launchFailed } from "../launch/launch-error.ts";
import type { ExitReport, RunningPlugin, StopRequest } from "../launch/launch-strategy.ts";
import type { ProcessOutput } from "../launch/process/process-output.ts";
import { checkStopGrace } from "../launch/stop-grace.ts";

export interface RunningThreadOptions {
  readonly plugin: string;
  readonly thread: Worker;
  readonly output: ProcessOutput;
  readonly clock: Clock;
}

/** How long a thread may take to go after it was terminated, and its output to end after it went. */
const terminateBoundMs = 10_000;
const outputBoundMs = 1_000;

/**
 * Follows a thread that has just been started to its end.
 *
 *     how         event                       next         effect
 *     exited      stop with askToStop         asked        asks, waits up to graceMs
 *     exited      stop without                terminated   terminates the thread
 *     asked       asking failed, grace over   terminated   the same
 *     any         kill                        terminated   the same
 *     any         the thread exits            (final)      its output is read to the end
 *
 * There is no step between asking and terminating: a thread gets no signals.
 */
export function followThread(options: RunningThreadOptions): Pick<RunningPlugin, "exited" | "stop" | "kill"> {
  const { plugin, thread, output, clock } = options;
  let how: ExitReport["how"] = "exited";
  const gone = new AbortController();
  const { promise: exited, resolve } = Promise.withResolvers<ExitReport>();

  thread.once("exit", async (code) => {
    const report: ExitReport = { code, signal: null, how };
    gone.abort("it has ended");
    await output.finish(outputBoundMs);
    resolve(report);
  });

  const terminate = async (): Promise<ExitReport> => {
    if (gone.signal.aborted) return await exited;
    how = "terminated";
    void thread.terminate(); // "exit" tells when it is gone
    const bound = new AbortController();
    const late = clock.sleep(terminateBoundMs, bound.signal).then(() => {
      const reason = `its thread is still there ${terminateBoundMs} ms after it was terminated`;
      throw launchFailed({ plugin, stage: "stop", running: output, reason, code: Code.DeadlineExceeded });
    });
    late.catch(() => {}); // stopped, as a rule
    try {
      return await Promise.race([exited, late]);
    } finally {
      bound.abort("it has ended");
    }
  };

  const runLadder = async ({ graceMs, askToStop }: StopRequest): Promise<ExitReport> => {
    if (askToStop !== undefined && graceMs > 0 && !gone.signal.aborted) {
      how = "asked";
      await askWithin({ graceMs, askToStop, gone: gone.signal, clock });
    }
    return await terminate();
  };

  let stopping: Promise<ExitReport> | undefined;
  return {
    exited,
    async stop(request) {
      checkStopGrace(request);
      stopping ??= runLadder(request);
      return await stopping;
    },
    kill: terminate,
  };
}
