import { FakeClock } from "@cpg/resilience/testing";
import {
  createHealthMonitor,
  type FollowedIdentities,
  type HealthMonitorDeps,
} from "../../src/health/create-health-monitor.ts";
import type { HealthEvent } from "../../src/health/health-event.ts";
import type { HealthReport } from "../../src/health/health-monitor.ts";
import type { HealthOptions } from "../../src/health/health-options.ts";
import type { Probe, ProbeResult } from "../../src/health/probe.ts";
import type { HealthLevel } from "../../src/health/provider-health.ts";
import type { Upstream } from "../../src/router/upstream.ts";
import { createRegistryStore } from "../../src/state/create-registry-store.ts";
import type { ServiceFacts } from "../../src/state/registry-store.ts";
import { register } from "./facts.ts";

/** What a provider does when it is asked. Of "hang" nothing comes. */
export type Behaviour = ProbeResult | "hang";

export const healthy: ProbeResult = { kind: "answered", opinion: undefined };

export function says(level: HealthLevel): ProbeResult {
  return { kind: "answered", opinion: reportOf(level) };
}

export function reportOf(level: HealthLevel, reason = ""): HealthReport {
  return { level, reason, unavailableDependencies: [] };
}

/** Answers for the sockets at /tmp/{provider}.sock. */
function createFakeProbe() {
  const behaviours = new Map<string, Behaviour>();
  const open = new Set<string>();
  const asked: string[] = [];
  let opened = 0;
  let underWay = 0;
  let mostUnderWay = 0;
  const probe: Probe = {
    open(upstream) {
      const id = idOf(upstream);
      const key = `${id} ${++opened}`;
      open.add(key);
      return {
        async ask(signal) {
          asked.push(id);
          underWay++;
          mostUnderWay = Math.max(mostUnderWay, underWay);
          try {
            const behaviour = behaviours.get(id) ?? healthy;
            if (behaviour !== "hang") return behaviour;
            return await new Promise<never>((_resolve, reject) => {
              signal.addEventListener("abort", () => reject(signal.reason), { once: true });
            });
          } finally {
            underWay--;
          }
        },
        async close() {
          open.delete(key);
        },
      };
    },
  };
  return {
    probe,
    open,
    /** Ids of the providers, in the order in which they were asked. */
    asked,
    get opened() {
      return opened;
    },
    get mostUnderWay() {
      return mostUnderWay;
    },
    set: (id: string, behaviour: Behaviour) => void behaviours.set(id, behaviour),
  };
}

function idOf(upstream: Upstream): string {
  return upstream.kind === "unix" ? upstream.path.slice("/tmp/".length, -".sock".length) : upstream.kind;
}

export interface HealthSceneOptions extends Partial<HealthMonitorDeps> {
  readonly options?: HealthOptions | undefined;
}

/** A monitor under a clock that stands still, with providers that do as they are told. */
export function healthScene(overrides: HealthSceneOptions = {}) {
  const clock = overrides.clock instanceof FakeClock ? overrides.clock : new FakeClock();
  const store = createRegistryStore();
  const fake = createFakeProbe();
  const events: HealthEvent[] = [];
  const errors: unknown[] = [];
  const identities = createFakeIdentities();
  const monitor = createHealthMonitor({
    store,
    identities,
    probe: fake.probe,
    clock,
    random: () => 0.5,
    onEvent: (event) => events.push(event),
    onError: (error) => errors.push(error),
    ...overrides,
  });
  const unixUpstream = (id: string): Upstream => ({
    kind: "unix",
    path: `/tmp/${id}.sock`,
    authority: "localhost",
    basePath: "",
    http: "auto",
  });
  return {
    clock,
    store,
    fake,
    events,
    errors,
    identities,
    monitor,
    register: (id: string, type = "logger", facts: Partial<ServiceFacts> = {}) =>
      register(store, id, type, { upstream: unixUpstream(id), ...facts }),
    level: (id: string) => store.provider(id)?.health.level,
    source: (id: string) => store.provider(id)?.health.source,
    call(id: string, result: Parameters<typeof monitor.callEnded>[1], times = 1) {
      for (let count = 0; count < times; count++) monitor.callEnded(id, result);
    },
  };
}

type EndListener = Parameters<FollowedIdentities["onEnd"]>[0];

/** All identities are live until they end. */
function createFakeIdentities() {
  const listeners = new Set<EndListener>();
  const over = new Set<string>();
  return {
    get: (runtimeId: string) => (over.has(runtimeId) ? undefined : { runtimeId }),
    onEnd(listener: EndListener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    end(runtimeId: string, reason: Parameters<EndListener>[1]) {
      over.add(runtimeId);
      for (const listener of listeners) listener({ runtimeId }, reason);
    },
    get listeners() {
      return listeners.size;
    },
  };
}
