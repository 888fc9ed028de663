/** healthy: routed. degraded: routed when nobody is healthy. unhealthy: not routed. */
export type HealthLevel = "healthy" | "degraded" | "unhealthy";

/** What the registry believes of a provider, from its reports, probes and the router's results together. */
export interface ProviderHealth {
  readonly level: HealthLevel;
  /** What says so; the worst speaks. "assumed": nothing has been heard yet. */
  readonly source: "assumed" | "report" | "probe" | "liveness" | "ejection";
  /** For people; may be empty. */
  readonly reason: string;
  /** Service types that the provider says it misses. */
  readonly unavailableDependencies: readonly string[];
}

/** Of a provider of which nothing has been heard. */
export const assumedHealthy: ProviderHealth = Object.freeze({
  level: "healthy",
  source: "assumed",
  reason: "",
  unavailableDependencies: Object.freeze([]),
});
