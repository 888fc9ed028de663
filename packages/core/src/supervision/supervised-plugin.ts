import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { PluginSet } from "../definition/plugin-set.ts";
import { within } from "../internal/bounded.ts";
import { LaunchError } from "../launch/launch-error.ts";
import type { StopOptions } from "../launch/launch-plugin.ts";
import type { ExitReport } from "../launch/launch-strategy.ts";
import { checkStopGrace } from "../launch/stop-grace.ts";
import { createSupervisedClient } from "./supervised-client.ts";
import type { StateChange, SupervisionSnapshot } from "./supervision-event.ts";
import { comesBack, presentProcess, type SupervisionStateName } from "./supervision-state.ts";
import { createSupervisor, type SupervisorOptions } from "./supervisor.ts";

export interface WhenRunningOptions {
  /** Default 30 000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SupervisedPlugin<Plugins extends PluginSet> extends AsyncDisposable {
  readonly name: string;
  readonly state: SupervisionStateName;
  snapshot(): SupervisionSnapshot;
  /**
   * A typed client for one plugin, always the same object. Each of its calls goes to the process that runs when it begins;
   * while none runs, calls fail or wait, as `onCallsWhileDown` says. A call whose process ends fails with `unavailable`
   * (cause: LaunchError) and is not repeated.
   * @throws {TypeError} for a name outside `plugins`.
   */
  dispense<Name extends keyof Plugins & string>(name: Name): Promise<Client<Plugins[Name]["service"]>>;
  /**
   * Resolves once a process runs.
   * @throws {ConnectError} `unavailable` (cause: SupervisionError) when none is to be expected, `deadline_exceeded` when
   * it takes too long; the reason of `signal`.
   */
  whenRunning(options?: WhenRunningOptions): Promise<void>;
  /** Calls the listener at each change of state. Returns what ends that. What the listener throws is dropped. */
  onStateChange(listener: (change: StateChange) => void): () => void;
  /** Starts a plugin again that is crash-looping, failed or waiting, as if it had never ended. No effect otherwise. */
  reset(): void;
  /**
   * Ends the process, as `stop` does, and starts the next one at once, also out of crash-looping or failed. It is no end that counts.
   * Resolves when the next one runs.
   * @throws {ConnectError} of the launch if that fails (supervision goes on); `unavailable` when stopped meanwhile.
   */
  restart(options?: StopOptions): Promise<void>;
  /**
   * Ends the supervision and the process: gives up a launch or a wait, asks a process that runs to end, then SIGTERM, then
   * SIGKILL. Idempotent: later calls share the first one's result. Resolves with how the process ended, if there was one,
   * once nothing is left.
   * @throws {ConnectError} `deadline_exceeded` when something does not end in spite of it all. {RangeError} for a bad grace.
   */
  stop(options?: StopOptions): Promise<ExitReport | undefined>;
}

export interface SupervisedPluginOptions<Plugins extends PluginSet> extends SupervisorOptions {
  readonly plugins: Plugins;
}

/** What `supervisePlugin` gives, whatever it is that gets launched. */
export function createSupervisedPlugin<Plugins extends PluginSet>(
  options: SupervisedPluginOptions<Plugins>,
): SupervisedPlugin<Plugins> {
  const { name, plugins, wait, maxWaitMs, clock } = options;
  const supervisor = createSupervisor(options);
  const { onChange, down } = supervisor;

  const clients = new Map<string, Client<DescService>>();
  for (const [key, { service }] of Object.entries(plugins)) {
    const client = createSupervisedClient(service, {
      maxWaitMs: wait ? maxWaitMs : undefined,
      clock,
      now: () => presentProcess(supervisor.state)?.clients.get(key),
      next: async (call) => (await supervisor.next(call)).clients.get(key) as Client<DescService>,
      explain(reason, client, signal) {
        const { code, cause } = ConnectError.from(reason);
        // Connections are closed once their process has ended: a call may see either first.
        const byEnd = cause instanceof LaunchError || (code === Code.Canceled && !signal?.aborted);
        return (byEnd ? supervisor.endOf(client) : undefined) ?? reason;
      },
    });
    clients.set(key, client);
  }

  const supervised: SupervisedPlugin<Plugins> = {
    name,
    get state() {
      return supervisor.state.kind;
    },
    snapshot() {
      const { state, lastEnd, waitingCalls } = supervisor;
      const plugin = presentProcess(state)?.plugin;
      return {
        plugin: name,
        state: state.kind,
        launches: state.history.launch,
        ends: state.history.endsMs.length,
        misses: state.kind === "running" ? state.misses : 0,
        endpoint: plugin?.endpoint,
        pid: plugin?.pid,
        stderrTail: lastLines(plugin?.stderrTail(), lastEnd?.stderrTail),
        waitingCalls,
        lastEnd,
      };
    },
    async dispense(plugin) {
      const client = clients.get(plugin);
      if (client === undefined) {
        throw new TypeError(`plugins has no "${plugin}"; it has ${[...clients.keys()].join(", ")}`);
      }
      return client as Client<Plugins[typeof plugin]["service"]>;
    },
    whenRunning({ timeoutMs = 30_000, signal } = {}) {
      const settled = (cut: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          const forget = onChange(look);
          cut.addEventListener("abort", forget, { once: true });
          look();
          function look(): void {
            const { kind } = supervisor.state;
            if (kind === "running") resolve();
            else if (!comesBack(kind)) reject(down());
            else return;
            forget();
          }
        });
      const tooLate = () =>
        new ConnectError(down(`not running within ${timeoutMs} ms`).rawMessage, Code.DeadlineExceeded);
      return within(clock, timeoutMs, settled, tooLate, signal);
    },
    onStateChange: onChange,
    reset: () => supervisor.reset(),
    async restart(how = {}) {
      checkStopGrace(how);
      const outcome = Promise.withResolvers<void>();
      outcome.promise.catch(() => {}); // may be settled before it is awaited
      const forget = onChange(({ state, cause, error }) => {
        if (state === "running") outcome.resolve();
        else if (cause === "launch-failed") outcome.reject(error);
        else if (!comesBack(state)) outcome.reject(down());
      });
      try {
        supervisor.restart(how);
        await undefined; // what a listener asks for is done once all listeners have heard
        if (!comesBack(supervisor.state.kind)) throw down();
        await outcome.promise;
      } finally {
        forget();
      }
    },
    async stop(how = {}) {
      checkStopGrace(how);
      return await supervisor.stop(how);
    },
    async [Symbol.asyncDispose]() {
      await supervised.stop();
    },
  };
  return supervised;
}

function lastLines(now: readonly string[] = [], before: readonly string[] = []): readonly string[] {
  return now.length > 0 ? now : before;
}
