import type { Clock } from "@cpg/resilience";
import type { PluginServer } from "../server/plugin-server.ts";
import { askWithin } from "./ask-within.ts";
import type { ExitReport, RunningPlugin, StopRequest } from "./launch-strategy.ts";
import { checkStopGrace } from "./stop-grace.ts";

/**
 * Follows a server of this process to its end, as a process is followed: asked to end, it has its grace; then it is
 * closed without one. There is no step between the two, as nothing runs but this process.
 */
export function followServer(server: PluginServer, clock: Clock): Pick<RunningPlugin, "exited" | "stop" | "kill"> {
  let how: ExitReport["how"] = "exited";
  const gone = new AbortController();
  const exited = server.closed.then((): ExitReport => {
    gone.abort("it has ended");
    return { code: 0, signal: null, how };
  });

  const terminate = async (): Promise<ExitReport> => {
    if (!gone.signal.aborted) how = "terminated";
    // Its shutdown steps may fail; it is closed all the same.
    await server.close({ graceMs: 0 }).catch(() => {});
    return await exited;
  };

  const runLadder = async ({ graceMs, askToStop }: StopRequest): Promise<ExitReport> => {
    if (askToStop !== undefined && graceMs > 0 && !gone.signal.aborted) {
      how = "asked";
      await askWithin({ graceMs, askToStop, gone: gone.signal, clock });
    }
    return gone.signal.aborted ? await exited : await terminate();
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
