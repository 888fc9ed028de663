import type { ServiceImpl } from "@connectrpc/connect";
import { peerKey } from "@cpg/resilience";
import { HealthState } from "../gen/connectplugin/v1/health_pb.ts";
import type { PluginControl } from "../gen/connectplugin/v1/plugin_pb.ts";
import type { HealthReporter } from "../health/health-reporter.ts";
import type { PluginHealth } from "../health/plugin-health.ts";
import { DEFAULT_GRACE_MS } from "../protocol/constants.ts";
import { checkFreeText } from "../protocol/field-rules.ts";
import { invalidField } from "../protocol/wire-error.ts";
import type { ControlGuard } from "./control-guard.ts";

export interface ShutdownOrder {
  readonly graceMs: number;
  readonly reason: string;
}

export interface PluginControlOptions {
  readonly guard: ControlGuard;
  readonly health: HealthReporter;
  /** Grace of an order that names none, in ms. Default 30 000. */
  readonly graceMs?: number | undefined;
  /**
   * Begins the shutdown; it has to let the calls in flight finish, of which this is one. Called once for each order: a
   * later one shares the shutdown of the first, and may only shorten its grace.
   */
  onShutdown(order: ShutdownOrder): void;
}

/** A day. Longer is a mistake of units. */
const maxGraceSeconds = 24 * 60 * 60;
const maxReasonBytes = 4096;

const wireState = {
  healthy: HealthState.HEALTHY,
  degraded: HealthState.DEGRADED,
  unhealthy: HealthState.UNHEALTHY,
} as const satisfies Record<PluginHealth["state"], HealthState>;

/** A plugin's health as the protocol's messages carry it. */
export function toWireHealth({ state, reason, unavailableDependencies }: PluginHealth) {
  return { state: wireState[state], reason, unavailableDependencies: [...unavailableDependencies] };
}

/** connectplugin.v1.PluginControl: GetHealth for anybody, Shutdown for the plugin's own host. */
export function createPluginControlService(options: PluginControlOptions): ServiceImpl<typeof PluginControl> {
  const { guard, health, graceMs: ownGraceMs = DEFAULT_GRACE_MS, onShutdown } = options;
  return {
    getHealth: () => toWireHealth(health.report()),
    shutdown({ gracePeriodSeconds, reason, controlToken }, context) {
      guard.requireHost({ token: controlToken, peer: context.values.get(peerKey) });
      if (gracePeriodSeconds < 0 || gracePeriodSeconds > maxGraceSeconds) {
        throw invalidField("grace_period_seconds", `must be from 0 to ${maxGraceSeconds}, is ${gracePeriodSeconds}`);
      }
      checkFreeText("reason", reason, maxReasonBytes);
      const graceMs = gracePeriodSeconds === 0 ? ownGraceMs : gracePeriodSeconds * 1000;
      onShutdown({ graceMs, reason });
      return { acknowledged: true };
    },
  };
}
