import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { ConnectionError } from "../wire/call-error.ts";
import { launchFailed } from "./launch-error.ts";
import type { ExitReport, RunningPlugin } from "./launch-strategy.ts";

/** A connection breaks before the end of its process is known; longer than this the two have nothing to do with each other. */
const exitBoundMs = 1_000;

/**
 * Client interceptor: when a call's connection broke because the plugin ended, the error tells how it ended and its last
 * stderr lines (cause: LaunchError). Other errors pass as they are.
 */
export function explainEnd(plugin: string, running: RunningPlugin, clock: Clock): Interceptor {
  let ended: ExitReport | undefined;
  void running.exited.then((report) => {
    ended = report;
  });
  const explain = async (reason: unknown, signal: AbortSignal): Promise<unknown> => {
    const error = ConnectError.from(reason);
    // Connections are closed once the plugin has ended: a call may see either first.
    if (ended !== undefined && error.code === Code.Canceled && !signal.aborted) {
      return launchFailed({ plugin, stage: "running", running, exit: ended, reason: error, code: Code.Unavailable });
    }
    if (!(error.cause instanceof ConnectionError)) return reason;
    const bound = new AbortController();
    const late = clock.sleep(exitBoundMs, bound.signal).catch(() => {}); // stopped, the exit is known
    const exit = await Promise.race([running.exited, late]);
    bound.abort();
    return exit ? launchFailed({ plugin, stage: "running", running, exit, reason: error }) : reason;
  };

  async function* explained<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void, void> {
    try {
      yield* messages;
    } catch (reason) {
      throw await explain(reason, signal);
    }
  }

  return (next) => async (request) => {
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: explained(response.message, request.signal) } : response;
    } catch (reason) {
      throw await explain(reason, request.signal);
    }
  };
}
