import type { ConnectError } from "@connectrpc/connect";
import type { PluginSet, StateChange, SupervisedPlugin } from "@cpg/core";
import type { AttachOptions } from "../attach/attach-options.ts";
import type { AttachTarget } from "../attach/attach-target.ts";
import type { AttachedPlugin } from "../attach/attached-plugin.ts";
import { drainCalls } from "./drain-calls.ts";
import { introduceProgram } from "./introduce-program.ts";
import { PlatformError, platformFailed } from "./platform-error.ts";
import { expectedOf } from "./platform-plugin.ts";
import type { PluginRun, PluginRunParts, Retirement, RetireOptions } from "./plugin-run.ts";
import type { RunSnapshot } from "./plugin-snapshot.ts";
import { ADDED, type PluginInput, pluginTransition, type StartStage } from "./plugin-state.ts";
import { stageOf, startFailed } from "./start-failed.ts";
import { superviseProgram } from "./supervise-program.ts";

/** @throws nothing: what is wrong with the plugin shows when it starts. */
export function createPluginRun(parts: PluginRunParts): PluginRun {
  const { plugin, registry, clock } = parts;
  const { id, readyTimeoutMs = 10_000 } = plugin;
  const expected = expectedOf(plugin);
  let state = ADDED;
  let sinceMs = clock.now();
  let reached: StartStage = "dependencies";
  let lastError: ConnectError | undefined;
  let { standby } = parts;
  let supervised: SupervisedPlugin<PluginSet> | undefined;
  let attached: AttachedPlugin | undefined;
  let known: Pick<RunSnapshot, "selfId" | "selfVersion" | "provides" | "requires"> = {
    selfId: undefined,
    selfVersion: undefined,
    ...expected,
  };
  /** A start that somebody waits for, and that is given up when it fails. */
  let attempt: PromiseWithResolvers<void> | undefined;
  let ending: Promise<unknown> | undefined;
  let retirement: Promise<Retirement> | undefined;
  let asksToEnd = false;

  const dispatch = (input: PluginInput, error?: ConnectError): void => {
    const before = state;
    state = pluginTransition(before, input);
    if (state === before) return;
    sinceMs = clock.now();
    if ("stage" in state) reached = state.stage;
    if (error !== undefined) lastError = error;
    parts.onState(before, error);
  };

  const introduce = async (
    target: AttachTarget,
    options: Omit<AttachOptions, "signal" | "onStage" | "standby">,
    signal: AbortSignal,
  ): Promise<AttachedPlugin> => {
    return await introduceProgram({
      registry,
      target,
      options: { ...options, standby },
      timeoutMs: readyTimeoutMs,
      clock,
      signal,
      onStage: (stage) => dispatch({ type: "stage", stage }),
      check(info) {
        // What its host says that it needs holds beside what it says itself.
        const said = new Set(info.requires.map(({ type }) => type));
        const requires = [...info.requires, ...expected.requires.filter(({ type }) => !said.has(type))];
        if (attempt !== undefined) parts.checkDependencies({ ...info, requires });
        known = { ...info, requires };
      },
      onAttached(present) {
        attached = present;
        void present.detached.then(() => {
          if (attached === present) attached = undefined;
        });
      },
    });
  };

  const supervise = (): SupervisedPlugin<PluginSet> => {
    const program = superviseProgram({
      ...parts,
      introduce,
      watchHandshake: (selfId) => parts.watchHandshake(selfId, standby),
      onLaunched: () => dispatch({ type: "stage", stage: "handshake" }),
      asksToEnd: () => asksToEnd,
    });
    program.onStateChange((change) => {
      if (program === supervised) follow(program, change);
    });
    return program;
  };

  const follow = (program: SupervisedPlugin<PluginSet>, change: StateChange): void => {
    const isDown = change.state === "waiting" || change.state === "crash-looping" || change.state === "failed";
    if (state.kind === "draining" && (isDown || change.state === "starting")) {
      program.stop({ graceMs: 0 }).catch(() => {}); // nobody starts it again; who retires it shares the result
    } else if (isDown && attempt !== undefined) {
      giveUp(explain(change.error));
    } else {
      const input = inputOf(change);
      // An end that was asked for is no error.
      const error = change.cause === "restart" ? undefined : change.error;
      if (input !== undefined) dispatch(input, error && explain(error));
      if (change.state === "running") attempt?.resolve();
    }
  };

  const explain = (reason: unknown): ConnectError => {
    if (stageOf(reason) === "handshake") dispatch({ type: "stage", stage: "handshake" });
    return startFailed(id, "stage" in state ? state.stage : "launch", reason);
  };

  const giveUp = (error: ConnectError): void => {
    const given = attempt;
    const program = supervised;
    attempt = undefined;
    supervised = undefined;
    dispatch({ type: "failed" }, error);
    ending = (async () => program?.stop({ graceMs: 0 }))().catch(() => {}); // its kill was reported by the launch
    void ending.then(() => given?.reject(error));
  };

  const begin = async (signal: AbortSignal): Promise<void> => {
    const started = Promise.withResolvers<void>();
    started.promise.catch(() => {}); // may be settled before it is awaited
    attempt = started;
    dispatch({ type: "start" });
    const onAbort = () => {
      if (attempt === started && state.kind !== "running") giveUp(explain(signal.reason));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      dispatch({ type: "stage", stage: "dependencies" });
      parts.checkDependencies(known);
      dispatch({ type: "stage", stage: "launch" });
      supervised = supervise();
    } catch (reason) {
      giveUp(explain(reason));
    }
    try {
      await started.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (attempt === started) attempt = undefined;
    }
  };

  const retire = async (options: RetireOptions): Promise<Retirement> => {
    const { graceMs, stopGraceMs, reason, hurry, leave } = options;
    const beganMs = clock.monotonic();
    ({ asksToEnd } = options);
    let callsCut = 0;
    const runtimeId = attached?.identity.runtimeId;
    if (state.kind === "running") dispatch({ type: "drain" });
    if (state.kind === "draining" && runtimeId !== undefined) {
      callsCut = await drainCalls({ registry, clock, providerId: runtimeId, graceMs, reason, signal: hurry });
    }
    const drainedMs = clock.monotonic();
    dispatch({ type: "stop" });
    attempt?.reject(platformFailed({ plugin: id, stage: reached, reason: reason || "it is being stopped" }));
    attempt = undefined;
    try {
      await ending;
      const patience = hurry?.aborted === true ? Math.min(stopGraceMs, hurriedStopMs) : stopGraceMs;
      await supervised?.stop({ graceMs: patience, reason, leave });
    } finally {
      attached?.detach();
      dispatch({ type: "stopped" });
    }
    return { callsCut, drainMs: drainedMs - beganMs, stopMs: clock.monotonic() - drainedMs };
  };

  const run: PluginRun = {
    plugin,
    get state() {
      return state;
    },
    get runtimeId() {
      return attached?.identity.runtimeId;
    },
    get reached() {
      return reached;
    },
    snapshot() {
      const now = supervised?.snapshot();
      const cause = lastError?.cause;
      return {
        state: state.kind,
        stage: "stage" in state ? state.stage : undefined,
        sinceMs,
        runtimeId: run.runtimeId,
        ...known,
        endpoint: now?.endpoint,
        pid: now?.pid,
        launches: now?.launches ?? 0,
        ends: now?.ends ?? 0,
        lastError,
        lastExit: now?.lastEnd?.exit,
        stderrTail: [now?.stderrTail, cause instanceof PlatformError ? cause.stderrTail : []].find(hasLines) ?? [],
      };
    },
    provides: (type) => known.provides.some((service) => service.type === type),
    start: begin,
    promote() {
      standby = false;
    },
    async restart(graceMs, signal) {
      const program = supervised;
      if (program === undefined) return await begin(signal);
      const runtimeId = run.runtimeId;
      const isRunning = state.kind === "running";
      dispatch({ type: "restart" });
      if (isRunning && runtimeId !== undefined) {
        await drainCalls({ registry, clock, providerId: runtimeId, graceMs, reason: "it is restarted", signal });
      }
      try {
        await program.restart({ graceMs, reason: "it is restarted" });
      } catch (reason) {
        throw explain(reason);
      }
    },
    retire(options) {
      retirement ??= retire(options);
      return retirement;
    },
  };
  return run;
}

/** How long a plugin may take to end by itself when there is no time left, in ms. */
const hurriedStopMs = 1_000;

function hasLines(lines: readonly string[] | undefined): boolean {
  return lines !== undefined && lines.length > 0;
}

/** What a change of the supervision is to the plugin. */
function inputOf(change: StateChange): PluginInput | undefined {
  switch (change.state) {
    case "running":
      return { type: "started" };
    case "starting":
      return { type: "start" };
    case "blocked":
    case "unresponsive":
      return { type: "blocked" };
    case "restarting":
      return { type: "restart" };
    case "waiting":
      return { type: "ended", delayMs: change.delayMs };
    case "crash-looping":
      return { type: "ended-too-often" };
    case "failed":
      return { type: "failed" };
    case "stopping":
    case "stopped":
      return undefined; // whoever stops it knows
  }
}
