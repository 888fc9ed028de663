import { Code, ConnectError } from "@connectrpc/connect";
import { callListener } from "../internal/call-listener.ts";
import { createLatestValue, type LatestValue } from "./latest-value.ts";
import { checkHealth, effectiveHealth, HEALTHY, type PluginHealth, sameHealth } from "./plugin-health.ts";

export type ServingStatus = "serving" | "not-serving";

/** Whether a server can take calls, as a whole and plugin by plugin. */
export interface HealthReporter {
  /** Tells whether one plugin can take calls. All can in the beginning. @throws {TypeError} for an unknown name or status. */
  set(plugin: string, status: ServingStatus): void;
  /** Of one plugin, or with "" of the server as a whole. Undefined for an unknown name. */
  status(name: string): ServingStatus | undefined;
  /**
   * The present status, then every change; a slow reader gets the newest. Ends when `signal` aborts, and when the server
   * drains: the last status is "not-serving" then, whatever was watched. Until one of these, or until its reader leaves,
   * it counts as a watch.
   * @throws {ConnectError} `resource_exhausted` when there are too many watchers.
   */
  watch(name: string, signal: AbortSignal): AsyncIterable<ServingStatus | "unknown">;
  /**
   * What a host gets to know: the plugin's own judgement, but at best degraded while some plugin is not serving, and
   * unhealthy while none is, or while the server drains. The same object until it changes.
   */
  report(): PluginHealth;
  /**
   * Sets the plugin's own judgement. Unhealthy makes the server as a whole not serving.
   * @throws {ConnectError} `invalid_argument`, naming the field.
   */
  setHealth(health: PluginHealth): void;
  /** Hears of every change of `report()`. What it throws harms nobody. Returns how to stop. */
  onChange(listener: (health: PluginHealth) => void): () => void;
  /** Everything is not serving from now on, and watches end. Idempotent. */
  drain(): void;
}

export interface HealthReporterOptions {
  /** Names of the plugins. */
  readonly plugins: readonly string[];
  /** Watches at a time. Default 1 000. */
  readonly maxWatchers?: number | undefined;
  /** Hears what an `onChange` listener throws. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

interface Watcher {
  /** Undefined: no plugin has this name, and none will. */
  readonly name: string | undefined;
  readonly stream: LatestValue<ServingStatus | "unknown">;
}

/** @throws {RangeError} for a `maxWatchers` below 1. */
export function createHealthReporter(options: HealthReporterOptions): HealthReporter {
  const { plugins, maxWatchers = 1_000, onError = () => {} } = options;
  if (!Number.isInteger(maxWatchers) || maxWatchers < 1) {
    throw new RangeError(`maxWatchers must be a whole number from 1, got ${maxWatchers}`);
  }
  const statuses = new Map<string, ServingStatus>(plugins.map((name) => [name, "serving"]));
  const watchers = new Set<Watcher>();
  const listeners = new Set<(health: PluginHealth) => void>();
  let own = HEALTHY;
  let report = HEALTHY;
  let draining = false;

  const status = (name: string): ServingStatus | undefined => {
    if (name === "") {
      const serving = !draining && own.state !== "unhealthy" && [...statuses.values()].every((s) => s === "serving");
      return serving ? "serving" : "not-serving";
    }
    const known = statuses.get(name);
    return known !== undefined && draining ? "not-serving" : known;
  };
  const watched = (name: string | undefined): ServingStatus | "unknown" => {
    if (draining) return "not-serving";
    return (name === undefined ? undefined : status(name)) ?? "unknown";
  };
  /** After each change: first what can be asked, then who is told. */
  const tell = (): void => {
    const notServing = [...statuses].flatMap(([name, is]) => (is === "serving" ? [] : [name]));
    const now = effectiveHealth(own, { total: statuses.size, notServing, draining });
    const changed = !sameHealth(now, report);
    if (changed) report = now;
    for (const { name, stream } of watchers) stream.set(watched(name));
    if (!changed) return;
    for (const listener of [...listeners]) callListener(() => listener(now), onError);
  };

  return {
    set(plugin, newStatus) {
      if (!statuses.has(plugin)) throw new TypeError(`there is no plugin "${plugin}" to set the status of`);
      if (newStatus !== "serving" && newStatus !== "not-serving") {
        throw new TypeError(`status must be "serving" or "not-serving", got ${JSON.stringify(newStatus)}`);
      }
      statuses.set(plugin, newStatus);
      tell();
    },
    status,
    watch(name, signal) {
      if (watchers.size >= maxWatchers) {
        throw new ConnectError(`there are already ${maxWatchers} health watches`, Code.ResourceExhausted);
      }
      const leave = () => {
        watchers.delete(watcher);
        signal.removeEventListener("abort", end);
      };
      const stream = createLatestValue<ServingStatus | "unknown">(leave);
      const end = () => {
        leave();
        stream.end();
      };
      // The name of a stranger may be long, and is not kept.
      const watcher: Watcher = { name: status(name) === undefined ? undefined : name, stream };
      stream.set(watched(watcher.name));
      if (signal.aborted || draining) {
        stream.end();
      } else {
        watchers.add(watcher);
        signal.addEventListener("abort", end, { once: true });
      }
      return stream.values;
    },
    report: () => report,
    setHealth(health) {
      checkHealth(health);
      const { state, reason, unavailableDependencies } = health;
      own = Object.freeze({ state, reason, unavailableDependencies: Object.freeze([...unavailableDependencies]) });
      tell();
    },
    onChange(listener) {
      // A wrapper, so that one function added twice is two listeners.
      const heard = (health: PluginHealth) => listener(health);
      listeners.add(heard);
      return () => void listeners.delete(heard);
    },
    drain() {
      if (draining) return;
      draining = true;
      tell();
      for (const { stream } of watchers) stream.end();
    },
  };
}
