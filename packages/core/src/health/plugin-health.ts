/** How well a plugin can do its work, in its own judgement. */
export interface PluginHealth {
  /** "degraded" works, but not fully; "unhealthy" should not be called. */
  readonly state: "healthy" | "degraded" | "unhealthy";
  /** For people; empty when healthy. */
  readonly reason: string;
  /** Service types that the plugin misses. */
  readonly unavailableDependencies: readonly string[];
}

export const HEALTHY: PluginHealth = Object.freeze({
  state: "healthy",
  reason: "",
  unavailableDependencies: Object.freeze([]),
});
