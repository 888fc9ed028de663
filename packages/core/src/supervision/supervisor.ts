import { Code, ConnectError } from "@connectrpc/connect";
import { within } from "../internal/bounded.ts";
import { callListener } from "../internal/call-listener.ts";
import { launchFailed } from "../launch/launch-error.ts";
import type { StopOptions } from "../launch/launch-plugin.ts";
import type { ExitReport } from "../launch/launch-strategy.ts";
import { DEFAULT_TERM_GRACE_MS } from "../launch/stop-grace.ts";
import { DEFAULT_GRACE_MS } from "../protocol/constants.ts";
import { endOfLaunch, type Incarnation, isMendable } from "./incarnation.ts";
import { probePlugin } from "./probe-plugin.ts";
import { type PluginEnd, pluginDown } from "./supervision-error.ts";
import { type StateChange, type SupervisionCause, type SupervisionEvent, stateFacts } from "./supervision-event.ts";
import type { ResolvedSupervisionOptions } from "./supervision-options.ts";
import {
  comesBack,
  initialState,
  presentProcess,
  type SupervisionInput,
  type SupervisionState,
  type SupervisionStateName,
  transition,
} from "./supervision-state.ts";
import { createWaitingCalls, type WaitingCall } from "./waiting-calls.ts";

/** Whoever observes must not break what is observed, and there is nobody else to tell. */
const nobody = (): void => {};

/** What holds the state of a supervised plugin, and does what is to be done in it. */
export interface Supervisor {
  readonly state: SupervisionState<Incarnation>;
  readonly lastEnd: PluginEnd | undefined;
  readonly waitingCalls: number;
  /** Calls the listener at each change of state. Returns what ends that. */
  onChange(listener: (change: StateChange) => void): () => void;
  /** The error of a call that finds no process. */
  down(detail?: string): ConnectError;
  /** The process that runs, or the next one, for a call that may wait for it. @throws {ConnectError} otherwise. */
  next(call: WaitingCall): Promise<Incarnation>;
  /** How the process of a client ended, if it did. */
  endOf(client: object): ConnectError | undefined;
  reset(): void;
  restart(options: StopOptions): void;
  /** Only the first call's options count. */
  stop(options: StopOptions): Promise<ExitReport | undefined>;
}

export interface SupervisorOptions extends ResolvedSupervisionOptions {
  readonly name: string;
  /** Launches the plugin. Gives up when `signal` aborts. If it fails, nothing of it is left. */
  launch(signal: AbortSignal): Promise<Incarnation>;
}

/** What is known of what led to an input. */
interface Circumstances {
  readonly cause: SupervisionCause;
  readonly exit?: ExitReport | undefined;
  readonly stderrTail?: readonly string[] | undefined;
  readonly error?: ConnectError | undefined;
}

/** How long a launch may take to end after it was given up, in ms. */
const abandonMs = 10_000;

/** The shell around `transition`: launches at once. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { name, launch: launchProcess, rules, probe, wait, maxWaiting, clock, random, onEvent } = options;

  let state: SupervisionState<Incarnation> = initialState(rules);
  let activity = new AbortController();
  let lastEnd: PluginEnd | undefined;
  let restartOptions: StopOptions = {};
  let stopOptions: StopOptions | undefined;
  const finished = Promise.withResolvers<ExitReport | undefined>();
  const tasks = new Set<Promise<void>>();
  const listeners = new Set<(change: StateChange) => void>();
  /** By the clients of processes that ended: why their calls fail. */
  const ends = new WeakMap<object, ConnectError>();
  const down = (detail?: string) => pluginDown({ plugin: name, state: state.kind, lastEnd, detail });
  const waiting = createWaitingCalls<Incarnation>({ maxWaiting, clock, down });

  const queue: { readonly input: SupervisionInput<Incarnation>; readonly why: Circumstances }[] = [];
  let dispatching = false;
  /** Inputs that listeners cause wait until all have heard of the one before. */
  const dispatch = (input: SupervisionInput<Incarnation>, why: Circumstances): void => {
    queue.push({ input, why });
    if (dispatching) return;
    dispatching = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) step(next.input, next.why);
    } finally {
      dispatching = false;
    }
  };

  const step = (input: SupervisionInput<Incarnation>, why: Circumstances): void => {
    const before = state;
    state = transition(before, input, rules);
    if (state.kind === before.kind) return;
    activity.abort();
    activity = new AbortController();
    if (state.kind === "running") waiting.admit(state.process);
    else if (!comesBack(state.kind)) waiting.refuse(down());
    if (state.kind === "stopping") finished.resolve(finish(state.process));
    else track(perform(state, activity.signal));
    tell(before.kind, why);
  };

  const tell = (from: SupervisionStateName, { cause, exit, stderrTail = [], error }: Circumstances): void => {
    const facts = { ...eventFacts(), type: "state", from, cause, exit, stderrTail, error } as const;
    const change: StateChange = { ...facts, ...stateFacts(state, rules.windowMs) };
    emit(change);
    for (const listener of [...listeners]) callListener(() => listener(change), nobody);
  };
  const emit = (event: SupervisionEvent): void => callListener(() => onEvent(event), nobody);
  const eventFacts = () => ({ plugin: name, timeMs: clock.now(), launch: state.history.launch });

  /** What is done in a state, until `signal` aborts. */
  const perform = async (now: SupervisionState<Incarnation>, signal: AbortSignal): Promise<void> => {
    const { launch } = now.history;
    switch (now.kind) {
      case "starting":
        return start(launch, signal);
      case "running":
        return watch(now.process, launch, signal);
      case "blocked":
      case "unresponsive":
        return end(launch, () => now.process.plugin.kill());
      case "restarting":
        return end(launch, () => now.process.plugin.stop(restartOptions));
      case "waiting":
        await clock.sleep(now.delayMs, signal);
        return dispatch({ type: "delay-over", launch }, { cause: "delay-over" });
    }
  };

  const track = (work: Promise<unknown>): void => {
    const task = work.then(
      () => {},
      () => {}, // given up; what went wrong is told where it does
    );
    tasks.add(task);
    void task.then(() => tasks.delete(task));
  };

  const start = async (launch: number, signal: AbortSignal): Promise<void> => {
    let process: Incarnation;
    try {
      process = await launchProcess(signal);
    } catch (reason) {
      if (signal.aborted) return;
      lastEnd = endOfLaunch(reason, clock.now());
      const mendable = isMendable(reason);
      dispatch({ type: "launch-failed", launch, mendable, nowMs: clock.monotonic(), random: random() }, lastEnd);
      return;
    }
    if (signal.aborted) {
      await process.plugin.kill(); // it comes too late
      return;
    }
    dispatch({ type: "started", launch, process, nowMs: clock.monotonic() }, { cause: "started" });
    void process.plugin.exited.then((exit) => onExit(process, launch, exit));
  };

  const onExit = (process: Incarnation, launch: number, exit: ExitReport): void => {
    const { plugin } = process;
    const late = launch !== state.history.launch;
    const cause = (late ? undefined : endCauses[state.kind]) ?? "exited";
    const reason = cause === "blocked" || cause === "unresponsive" ? explainMisses(cause) : undefined;
    const stage = cause === "restart" || cause === "stop" ? "stop" : "running";
    const error = launchFailed({ plugin: name, stage, running: plugin, exit, reason, code: Code.Unavailable });
    for (const client of process.clients.values()) ends.set(client, error);
    track(plugin.kill()); // nothing is left to kill, but there may be connections
    if (late) return;
    lastEnd = { cause, timeMs: clock.now(), exit, stderrTail: plugin.stderrTail(), error };
    dispatch({ type: "exited", launch, nowMs: clock.monotonic(), random: random() }, lastEnd);
  };

  const explainMisses = (cause: "blocked" | "unresponsive"): string =>
    cause === "blocked"
      ? `its event loop is blocked: it answered none of ${rules.failures} probes in a row, each within ${probe?.timeoutMs} ms`
      : `it is unresponsive: ${rules.failures} probes in a row failed`;

  const watch = async ({ plugin }: Incarnation, launch: number, signal: AbortSignal): Promise<void> => {
    if (probe === undefined) return;
    const openTransport = () => plugin.openTransport();
    for await (const result of probePlugin({ ...probe, openTransport, clock, signal })) {
      if (result.kind === "answered") dispatch({ type: "answered", launch }, { cause: "started" }); // a cause of nothing
      if (result.kind === "silent" || result.kind === "unreachable") onMiss(plugin, launch, result);
    }
  };

  const onMiss = (
    plugin: Incarnation["plugin"],
    launch: number,
    { kind, error }: { kind: "silent" | "unreachable"; error: ConnectError },
  ): void => {
    const misses = 1 + (state.kind === "running" ? state.misses : 0);
    emit({ ...eventFacts(), type: "probe-missed", misses, failures: rules.failures, error });
    const silent = kind === "silent";
    const cause = silent && (state.kind !== "running" || state.silent) ? "blocked" : "unresponsive";
    const why = launchFailed({
      plugin: name,
      stage: "running",
      running: plugin,
      reason: explainMisses(cause),
      code: Code.Unavailable,
    });
    dispatch({ type: "missed", launch, silent }, { cause, error: why, stderrTail: plugin.stderrTail() });
  };

  /** Ends a process in one way or another; its exit is told by `onExit`. */
  const end = async (launch: number, work: () => Promise<ExitReport>): Promise<void> => {
    try {
      await work();
    } catch (reason) {
      dispatch({ type: "unkillable", launch }, { cause: "unkillable", error: ConnectError.from(reason) });
    }
  };

  const allTasks = async (): Promise<void> => {
    while (tasks.size > 0) await Promise.all(tasks);
  };

  const finish = async (process: Incarnation | undefined): Promise<ExitReport | undefined> => {
    let exit: ExitReport | undefined;
    try {
      exit = process && (await stopWithin(process));
      const left = () =>
        new ConnectError(`a launch of plugin ${name} did not end when it was given up`, Code.DeadlineExceeded);
      await within(clock, abandonMs, allTasks, left);
      return exit;
    } finally {
      dispatch({ type: "stopped" }, { cause: "stopped", exit, stderrTail: process?.plugin.stderrTail() });
      listeners.clear();
    }
  };

  /** A restart may be ending the process already, with more patience. */
  const stopWithin = async ({ plugin }: Incarnation): Promise<ExitReport> => {
    const { graceMs = DEFAULT_GRACE_MS, termGraceMs = DEFAULT_TERM_GRACE_MS } = stopOptions ?? {};
    const timer = new AbortController();
    clock.sleep(graceMs + termGraceMs, timer.signal).then(
      () => track(plugin.kill()),
      () => {}, // it ended
    );
    try {
      return await plugin.stop(stopOptions);
    } finally {
      timer.abort();
    }
  };

  track(perform(state, activity.signal));
  return {
    get state() {
      return state;
    },
    get lastEnd() {
      return lastEnd;
    },
    get waitingCalls() {
      return waiting.size;
    },
    onChange(listener) {
      const own = (change: StateChange) => listener(change);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    down,
    async next(call) {
      const process = presentProcess(state);
      if (process !== undefined) return process;
      if (!wait || !comesBack(state.kind)) throw down();
      return await waiting.wait(call);
    },
    endOf: (client) => ends.get(client),
    reset: () => dispatch({ type: "reset" }, { cause: "reset" }),
    restart(how) {
      if (state.kind === "running") restartOptions = how;
      dispatch({ type: "restart" }, { cause: "restart" });
    },
    stop(how) {
      stopOptions ??= how;
      dispatch({ type: "stop" }, { cause: "stop" });
      return finished.promise;
    },
  };
}

/** What an exit is due to, by the state that it happens in; by itself otherwise. */
const endCauses: Partial<Record<SupervisionStateName, PluginEnd["cause"]>> = {
  blocked: "blocked",
  unresponsive: "unresponsive",
  restarting: "restart",
  stopping: "stop",
};
