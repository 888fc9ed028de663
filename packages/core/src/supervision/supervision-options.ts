import { type BackoffOptions, resolveBackoffOptions, systemClock } from "@cpg/resilience";
import type { PluginSet } from "../definition/plugin-set.ts";
import { cryptoRandom } from "../internal/crypto-random.ts";
import type { LaunchedPlugin, LaunchPluginOptions } from "../launch/launch-plugin.ts";
import type { SupervisionEvent } from "./supervision-event.ts";
import type { SupervisionRules } from "./supervision-state.ts";

export interface RestartOptions {
  /** Delays before restarts. Default: from 500 ms to 30 s, jitter "equal". */
  readonly backoff?: BackoffOptions | undefined;
  /** Ends within `windowMs` after which the plugin is still restarted; one more and it is crash-looping. Whole number from 0. Default 5. */
  readonly maxRestarts?: number | undefined;
  /** How long an end counts, in ms. Default 300 000. */
  readonly windowMs?: number | undefined;
  /** A run at least this long wipes the ends before it out, in ms. Default 60 000. */
  readonly stableMs?: number | undefined;
}

export interface ProbeOptions {
  /** Time between the answer to a probe and the next one, in ms. The first follows this long after the start. Default 5 000. */
  readonly intervalMs?: number | undefined;
  /** Bound on a probe, in ms. Default 5 000. */
  readonly timeoutMs?: number | undefined;
  /** Probes missed in a row after which the process is killed and restarted. Whole number from 1. Default 3. */
  readonly failures?: number | undefined;
}

export interface SupervisePluginOptions<Plugins extends PluginSet>
  extends Omit<LaunchPluginOptions<Plugins>, "signal" | "handshakeSeen"> {
  readonly restart?: RestartOptions | undefined;
  /** How a blocked plugin is found out. False: not at all, such as for a plugin in a debugger. */
  readonly probe?: ProbeOptions | false | undefined;
  /**
   * What becomes of calls while no process runs: they fail with `unavailable` at once, or wait for the next process. A
   * unary call that waits may be sent again if it reached nobody. Without hope (crash-looping, failed, stopped) calls fail
   * in any case. Default "fail".
   */
  readonly onCallsWhileDown?: "fail" | "wait" | undefined;
  /** Calls that may wait at a time; further ones fail. Whole number from 1. Default 1 000. */
  readonly maxWaiting?: number | undefined;
  /** How long a call may wait, in ms; its own time-out counts, too. Default 10 000. */
  readonly maxWaitMs?: number | undefined;
  /** Called for each launch. As `handshakeSeen` of `launchPlugin`, for this launch. */
  readonly handshakeSeen?: (() => Promise<unknown>) | undefined;
  /**
   * Makes each launched plugin known, such as to a registry, before it counts as running. If it rejects, the launch has
   * failed (stage "introduce") and nothing of it is left. `signal` aborts when the launch is given up, and when the plugin
   * ends meanwhile; nobody waits for it any more then. It has to bound itself. Default: nothing is to be done.
   */
  readonly introduce?: Introduce<Plugins> | undefined;
  /** Hears what happens. What it throws is dropped. */
  readonly onEvent?: ((event: SupervisionEvent) => void) | undefined;
  /** Source of jitter, at least 0 and less than 1. */
  readonly random?: (() => number) | undefined;
}

export type Introduce<Plugins extends PluginSet> = (
  plugin: LaunchedPlugin<Plugins>,
  options: { readonly signal: AbortSignal },
) => Promise<void>;

/** Those that do not say what is launched. */
export type SupervisionChoices = Pick<
  SupervisePluginOptions<PluginSet>,
  "restart" | "probe" | "onCallsWhileDown" | "maxWaiting" | "maxWaitMs" | "onEvent" | "clock" | "random"
>;

export type ResolvedSupervisionOptions = ReturnType<typeof resolveSupervisionOptions>;

/** Options checked, defaults filled in. @throws {TypeError} {RangeError} naming the option. */
export function resolveSupervisionOptions<Plugins extends PluginSet>(
  options: SupervisionChoices | SupervisePluginOptions<Plugins>,
) {
  const { restart = {}, probe = {}, onCallsWhileDown = "fail", maxWaiting = 1_000, maxWaitMs = 10_000 } = options;
  const { clock = systemClock, random = cryptoRandom, onEvent = () => {} } = options;
  const { backoff = {}, maxRestarts = 5, windowMs = 300_000, stableMs = 60_000 } = restart;
  const { initialMs = 500, maxMs = 30_000, factor, jitter = "equal" } = backoff;
  const { intervalMs = 5_000, timeoutMs = 5_000, failures = 3 } = probe || {};
  checkWhole("restart.maxRestarts", maxRestarts, 0);
  checkMs("restart.windowMs", windowMs);
  checkMs("restart.stableMs", stableMs);
  checkMs("probe.intervalMs", intervalMs);
  checkMs("probe.timeoutMs", timeoutMs);
  checkWhole("probe.failures", failures, 1);
  checkWhole("maxWaiting", maxWaiting, 1);
  checkMs("maxWaitMs", maxWaitMs);
  if (onCallsWhileDown !== "fail" && onCallsWhileDown !== "wait") {
    throw new TypeError(`onCallsWhileDown must be "fail" or "wait", got ${JSON.stringify(onCallsWhileDown)}`);
  }
  const rules: SupervisionRules = {
    backoff: resolveBackoffOptions({ initialMs, maxMs, factor, jitter }),
    maxRestarts,
    windowMs,
    stableMs,
    failures,
  };
  return {
    rules,
    probe: probe === false ? undefined : { intervalMs, timeoutMs },
    wait: onCallsWhileDown === "wait",
    maxWaiting,
    maxWaitMs,
    clock,
    random,
    onEvent,
  } as const;
}

function checkWhole(option: string, value: number, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(`${option} must be a whole number from ${min}, got ${value}`);
  }
}

function checkMs(option: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`${option} must be a finite number greater than 0, got ${value}`);
  }
}
