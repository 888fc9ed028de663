import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { within } from "@cpg/core/extension";
import { PluginControl } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import type { Clock } from "@cpg/resilience";
import type { HealthReport } from "../health/health-monitor.ts";
import type { Probe } from "../health/probe.ts";
import type { Upstream } from "../router/upstream.ts";
import type { RegistryStore } from "../state/registry-store.ts";
import type { LaunchedTarget } from "./attach-target.ts";
import type { PluginDescription } from "./plugin-description.ts";
import { openUpstreamCalls, type UpstreamCallOptions } from "./upstream-calls.ts";

export interface ShutdownOptions {
  /** How long the plugin may take to finish its calls, in ms. From 0. Default 30 000. */
  readonly graceMs?: number | undefined;
  /** For the plugin's log. */
  readonly reason?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A plugin that the host looks after. */
export interface AttachedPlugin extends AsyncDisposable {
  readonly identity: RuntimeIdentity;
  /** What the plugin said of itself, or the host of it. */
  readonly info: PluginDescription;
  readonly upstream: Upstream;
  /** Resolves when the host looks after the plugin no more, for whatever reason. Never rejects. */
  readonly detached: Promise<void>;
  /**
   * What the plugin says of its health (GetHealth). Undefined: it says nothing that can be understood.
   * @throws {ConnectError} `unavailable` when it cannot be reached, `deadline_exceeded` when it does not answer in time;
   * the reason of `signal`.
   */
  health(options?: { readonly signal?: AbortSignal | undefined }): Promise<HealthReport | undefined>;
  /**
   * Asks the plugin to end (Shutdown). Once it has agreed it gets no new calls, and when the grace is over it is detached.
   * A plugin that this process launched is stopped, as `LaunchedPlugin.stop` does, and detached then. Resolves when the
   * plugin has agreed, or has been stopped.
   * @throws {RangeError} for a bad grace. {ConnectError} of the call: `unimplemented` when the plugin cannot be asked.
   */
  shutdown(options?: ShutdownOptions): Promise<void>;
  /** Takes the plugin's identity and registrations back, and leaves it alone otherwise. Idempotent. */
  detach(): void;
}

export interface AttachedPluginParts {
  readonly identity: RuntimeIdentity;
  readonly info: PluginDescription;
  readonly upstream: Upstream;
  readonly controlToken: string | undefined;
  readonly launched: LaunchedTarget | undefined;
  readonly callTimeoutMs: number;
  readonly store: Pick<RegistryStore, "setDraining">;
  readonly probe: Probe;
  readonly clock: Clock;
  readonly calls: UpstreamCallOptions;
  /** Aborts when the plugin is detached. */
  readonly detached: AbortSignal;
  detach(): void;
}

const defaultGraceMs = 30_000;
/** Plugins of ours take a longer grace for a mistake of units. */
const maxGraceMs = 24 * 60 * 60 * 1000;

export function createAttachedPlugin(parts: AttachedPluginParts): AttachedPlugin {
  const { identity, info, upstream, launched, callTimeoutMs, store, probe, clock, detached, detach } = parts;
  const { promise: ended, resolve: tellEnd } = Promise.withResolvers<void>();
  detached.addEventListener("abort", () => tellEnd(), { once: true });
  if (detached.aborted) tellEnd();

  const askToEnd = async (graceMs: number, reason: string, signal: AbortSignal | undefined): Promise<void> => {
    const calls = openUpstreamCalls(upstream, parts.calls);
    // At least 1: a grace of 0 would mean the plugin's own default.
    const order = {
      gracePeriodSeconds: Math.max(1, Math.floor(graceMs / 1000)),
      reason,
      controlToken: parts.controlToken ?? "",
    };
    try {
      await calls.call((transport) => {
        const options = { timeoutMs: callTimeoutMs, ...(signal && { signal }) };
        return createClient(PluginControl, transport).shutdown(order, options);
      });
    } finally {
      await calls.close();
    }
  };

  const attached: AttachedPlugin = {
    identity,
    info,
    upstream,
    detached: ended,
    async health({ signal } = {}) {
      const connection = probe.open(upstream);
      const tooLate = () => noAnswer(`no answer within ${callTimeoutMs} ms`, Code.DeadlineExceeded);
      try {
        const result = await within(clock, callTimeoutMs, (cut) => connection.ask(cut), tooLate, signal);
        if (result.kind !== "answered") throw noAnswer("it cannot be reached", Code.Unavailable);
        return result.opinion;
      } finally {
        await connection.close();
      }
    },
    async shutdown({ graceMs = defaultGraceMs, reason = "", signal } = {}) {
      if (!(graceMs >= 0 && graceMs <= maxGraceMs)) {
        throw new RangeError(`graceMs must be from 0 to ${maxGraceMs}, got ${graceMs}`);
      }
      signal?.throwIfAborted();
      if (launched !== undefined) {
        store.setDraining(identity.runtimeId);
        await launched.stop({ graceMs, reason });
        return detach();
      }
      await askToEnd(graceMs, reason, signal);
      store.setDraining(identity.runtimeId);
      clock.sleep(graceMs, detached).then(detach, () => {}); // detached already
    },
    detach,
    async [Symbol.asyncDispose]() {
      detach();
    },
  };
  return attached;

  function noAnswer(detail: string, code: Code): ConnectError {
    return new ConnectError(`plugin ${identity.runtimeId} gives no health: ${detail}`, code);
  }
}
