/**
 * How far the start of a plugin got, in this order. What it is expected to need is looked at before its launch already, at
 * "dependencies".
 */
export type StartStage =
  | "launch"
  | "handshake"
  | "describe"
  | "dependencies"
  | "identity"
  | "register"
  | "health"
  | "route";

/** Where one plugin of a platform stands. */
export type PluginState =
  | { readonly kind: "added" }
  | { readonly kind: "starting"; readonly stage: StartStage }
  | { readonly kind: "running" }
  /** It is being killed, as nothing answers; it is started again then. */
  | { readonly kind: "blocked" }
  /** It ended, and is started again after `delayMs`. */
  | { readonly kind: "waiting"; readonly delayMs: number }
  /** It ended too often: only `restart` starts it again. */
  | { readonly kind: "crash-looping" }
  /** It could not start, at this stage: only `restart` starts it again. */
  | { readonly kind: "failed"; readonly stage: StartStage }
  /** It finishes its calls, or is being stopped, to be started again. */
  | { readonly kind: "restarting" }
  /** It finishes its calls and gets no new ones. */
  | { readonly kind: "draining" }
  | { readonly kind: "stopping" }
  | { readonly kind: "stopped" };

export type PluginStateName = PluginState["kind"];

export type PluginInput =
  /** It is started, for the first time or again. */
  | { readonly type: "start" }
  | { readonly type: "stage"; readonly stage: StartStage }
  | { readonly type: "started" }
  /** It cannot start, and nobody tries again by himself. */
  | { readonly type: "failed" }
  | { readonly type: "blocked" }
  | { readonly type: "ended"; readonly delayMs: number }
  | { readonly type: "ended-too-often" }
  | { readonly type: "restart" }
  | { readonly type: "drain" }
  | { readonly type: "stop" }
  | { readonly type: "stopped" };

export const ADDED: PluginState = { kind: "added" };

/**
 * State after one input; the same object when the input changes nothing. Pure.
 *
 * | state | input | next | what is done there |
 * |---|---|---|---|
 * | added | start | starting, at "dependencies" | waits for the plugins that it needs |
 * | starting | stage | starting, at that stage | what the stage says |
 * | starting | started | running | calls are routed to it |
 * | added, starting | failed | failed, at the stage it was in | |
 * | running | blocked | blocked | kills |
 * | starting, running, blocked, restarting | ended | waiting | waits for the next start |
 * | starting, running, blocked, restarting | ended-too-often | crash-looping | |
 * | waiting, crash-looping, failed, restarting, running | start | starting, at "launch" | |
 * | running, blocked, waiting, crash-looping, restarting | failed | failed, at "launch" | one that could not be killed |
 * | running | restart | restarting | finishes its calls, ends |
 * | running | drain | draining | finishes its calls, gets no new ones |
 * | any but stopping, stopped | stop | stopping | Shutdown, SIGTERM, SIGKILL |
 * | any but stopped | stopped | stopped | |
 *
 * Everything else changes nothing.
 */
export function pluginTransition(state: PluginState, input: PluginInput): PluginState {
  const { kind } = state;
  if (kind === "stopped") return state;
  if (input.type === "stopped") return { kind: "stopped" };
  if (kind === "stopping") return state;
  if (input.type === "stop") return { kind: "stopping" };
  if (kind === "draining") return state;
  switch (input.type) {
    case "start":
      if (kind === "added") return { kind: "starting", stage: "dependencies" };
      return kind === "starting" || kind === "blocked" ? state : { kind: "starting", stage: "launch" };
    case "stage":
      return kind === "starting" && state.stage !== input.stage ? { kind: "starting", stage: input.stage } : state;
    case "started":
      return kind === "starting" ? { kind: "running" } : state;
    case "failed":
      if (kind === "added") return { kind: "failed", stage: "dependencies" };
      if (kind === "starting") return { kind: "failed", stage: state.stage };
      return kind === "failed" ? state : { kind: "failed", stage: "launch" };
    case "blocked":
      return kind === "running" ? { kind: "blocked" } : state;
    case "ended":
      return mayEnd.has(kind) ? { kind: "waiting", delayMs: input.delayMs } : state;
    case "ended-too-often":
      return mayEnd.has(kind) ? { kind: "crash-looping" } : state;
    case "restart":
      return kind === "running" ? { kind: "restarting" } : state;
    case "drain":
      return kind === "running" ? { kind: "draining" } : state;
  }
}

const mayEnd: ReadonlySet<PluginStateName> = new Set(["starting", "running", "blocked", "restarting"]);

/** Whether it provides what it provides now, or will without anybody's doing. */
export function isExpected({ kind }: PluginState): boolean {
  return (
    kind !== "failed" && kind !== "crash-looping" && kind !== "draining" && kind !== "stopping" && kind !== "stopped"
  );
}
