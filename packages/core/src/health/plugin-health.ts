import { checkFreeText, checkName } from "../protocol/field-rules.ts";
import { invalidField } from "../protocol/wire-error.ts";

/** How well a plugin can do its work, in its own judgement. */
export interface PluginHealth {
  /** "degraded" works, but not fully; "unhealthy" should not be called. */
  readonly state: "healthy" | "degraded" | "unhealthy";
  /** For people, at most 4096 bytes; empty when healthy. */
  readonly reason: string;
  /** Service types that the plugin misses, at most 100. */
  readonly unavailableDependencies: readonly string[];
}

export const HEALTHY: PluginHealth = Object.freeze({
  state: "healthy",
  reason: "",
  unavailableDependencies: Object.freeze([]),
});

const states: readonly string[] = ["healthy", "degraded", "unhealthy"] satisfies PluginHealth["state"][];
const maxReasonBytes = 4096;
const maxDependencies = 100;

/** @throws {ConnectError} `invalid_argument`, naming the field. */
export function checkHealth({ state, reason, unavailableDependencies }: PluginHealth): void {
  if (!states.includes(state)) throw invalidField("state", `must be one of ${states.join(", ")}`);
  checkFreeText("reason", reason, maxReasonBytes);
  if (unavailableDependencies.length > maxDependencies) {
    throw invalidField("unavailableDependencies", `must have at most ${maxDependencies} entries`);
  }
  for (const [index, type] of unavailableDependencies.entries()) checkName(`unavailableDependencies[${index}]`, type);
}

export function sameHealth(a: PluginHealth, b: PluginHealth): boolean {
  return (
    a.state === b.state &&
    a.reason === b.reason &&
    a.unavailableDependencies.length === b.unavailableDependencies.length &&
    a.unavailableDependencies.every((type, index) => type === b.unavailableDependencies[index])
  );
}

/** What a host gets to know: the plugin's own judgement, and no better than what it serves. */
export function effectiveHealth(
  own: PluginHealth,
  { total, notServing, draining }: { total: number; notServing: readonly string[]; draining: boolean },
): PluginHealth {
  const { unavailableDependencies } = own;
  if (draining) return Object.freeze({ state: "unhealthy", reason: "shutting down", unavailableDependencies });
  if (notServing.length === 0) return own;
  const state = own.state === "unhealthy" || notServing.length === total ? "unhealthy" : "degraded";
  const reason = [own.reason, `not serving: ${notServing.join(", ")}`].filter((part) => part !== "").join("; ");
  return Object.freeze({ state, reason, unavailableDependencies });
}
