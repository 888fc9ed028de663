import { Code, ConnectError } from "@connectrpc/connect";
import { createLatestValue, type LatestValue } from "./latest-value.ts";
import { HEALTHY, type PluginHealth } from "./plugin-health.ts";

export type ServingStatus = "serving" | "not-serving";

/** Whether a server can take calls, as a whole and plugin by plugin. */
export interface HealthReporter {
  /** Tells whether one plugin can take calls. All can in the beginning. @throws {TypeError} for an unknown name. */
  set(plugin: string, status: ServingStatus): void;
  /** Of one plugin, or with "" of the server as a whole. Undefined for an unknown name. */
  status(name: string): ServingStatus | undefined;
  /**
   * The present status, then every change; a slow reader gets the newest. Ends when `signal` aborts, and after the last
   * status when the server drains.
   * @throws {ConnectError} `resource_exhausted` when there are too many watchers.
   */
  watch(name: string, signal: AbortSignal): AsyncIterable<ServingStatus | "unknown">;
  /** The plugin's own judgement of its health, which its host gets to know. */
  report(): PluginHealth;
  /** Unhealthy makes the server as a whole not serving. */
  setHealth(health: PluginHealth): void;
  /** Hears of every change of `report()`. What it throws is thrown to who changed it. Returns how to stop. */
  onChange(listener: (health: PluginHealth) => void): () => void;
  /** Everything is not serving from now on, and watches end. Idempotent. */
  drain(): void;
}

export interface HealthReporterOptions {
  /** Names of the plugins. */
  readonly plugins: readonly string[];
  /** Watches at a time. Default 1 000. */
  readonly maxWatchers?: number | undefined;
}

interface Watcher {
  readonly name: string;
  readonly stream: LatestValue<ServingStatus | "unknown">;
  sent: ServingStatus | "unknown";
}

export function createHealthReporter({ plugins, maxWatchers = 1_000 }: HealthReporterOptions): HealthReporter {
  const statuses = new Map<string, ServingStatus>(plugins.map((name) => [name, "serving"]));
  const watchers = new Set<Watcher>();
  const listeners = new Set<(health: PluginHealth) => void>();
  let health = HEALTHY;
  let draining = false;

  const status = (name: string): ServingStatus | undefined => {
    if (name === "") {
      const serving = !draining && health.state !== "unhealthy" && [...statuses.values()].every((s) => s === "serving");
      return serving ? "serving" : "not-serving";
    }
    const known = statuses.get(name);
    return known !== undefined && draining ? "not-serving" : known;
  };
  const tell = (): void => {
    for (const watcher of watchers) {
      const now = status(watcher.name) ?? "unknown";
      if (now === watcher.sent) continue;
      watcher.sent = now;
      watcher.stream.set(now);
    }
  };

  return {
    set(plugin, newStatus) {
      if (!statuses.has(plugin)) throw new TypeError(`there is no plugin "${plugin}" to set the status of`);
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
      const sent = status(name) ?? "unknown";
      const watcher: Watcher = { name, stream, sent };
      stream.set(sent);
      if (signal.aborted || draining) {
        stream.end();
      } else {
        watchers.add(watcher);
        signal.addEventListener("abort", end, { once: true });
      }
      return stream.values;
    },
    report: () => health,
    setHealth(newHealth) {
      const { state, reason, unavailableDependencies } = newHealth;
      health = Object.freeze({ state, reason, unavailableDependencies: Object.freeze([...unavailableDependencies]) });
      tell();
      for (const listener of listeners) listener(health);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    drain() {
      draining = true;
      tell();
      for (const { stream } of watchers) stream.end();
    },
  };
}
