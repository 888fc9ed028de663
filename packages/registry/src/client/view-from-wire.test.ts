import { create } from "@bufbuild/protobuf";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { ServiceState, WatchServiceEventSchema } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { describe, expect, it } from "vitest";
import { viewFromWire } from "./view-from-wire.ts";

const endpoint = { providerId: "a-1", version: "1.0.0", endpointUrl: "/services/logger/a-1", metadata: { zone: "a" } };
const facts = { health: "healthy", reason: "", draining: false };

describe("viewFromWire", () => {
  it("reads what a host of ours says", () => {
    const event = create(WatchServiceEventSchema, {
      serviceType: "logger",
      state: ServiceState.DEGRADED,
      endpoint,
      revision: 7n,
      epoch: "e",
      restarted: true,
      providers: [
        { endpoint, health: HealthState.DEGRADED, reason: "slow" },
        { endpoint: { ...endpoint, providerId: "b-1" }, health: HealthState.UNHEALTHY, draining: true },
        { health: HealthState.HEALTHY },
      ],
    });
    expect(viewFromWire("logger", event)).toEqual({
      type: "logger",
      state: "degraded",
      endpoint: { ...endpoint, ...facts, health: "degraded" },
      providers: [
        { ...endpoint, health: "degraded", reason: "slow", draining: false },
        { ...endpoint, providerId: "b-1", health: "unhealthy", reason: "", draining: true },
      ],
      revision: 7,
      epoch: "e",
      restarted: true,
    });
  });

  it.each([
    { state: ServiceState.AVAILABLE, view: { state: "available", providers: [{ ...endpoint, ...facts }] } },
    {
      state: ServiceState.DEGRADED,
      view: { state: "degraded", providers: [{ ...endpoint, ...facts, health: "degraded" }] },
    },
    { state: ServiceState.UNAVAILABLE, view: { state: "unavailable", endpoint: undefined, providers: [] } },
    { state: ServiceState.UNSPECIFIED, view: { state: "unavailable", endpoint: undefined, providers: [] } },
    { state: 99 as ServiceState, view: { state: "unavailable", endpoint: undefined, providers: [] } },
  ])("reads state $state of a host that lists no providers", ({ state, view }) => {
    const event = create(WatchServiceEventSchema, { serviceType: "logger", state, endpoint });
    expect(viewFromWire("logger", event)).toMatchObject({ ...view, revision: 0, epoch: "", restarted: false });
  });

  it.each([HealthState.UNSPECIFIED, 99 as HealthState])("takes the health %i for one that gets no calls", (health) => {
    const event = create(WatchServiceEventSchema, { state: ServiceState.AVAILABLE, providers: [{ endpoint, health }] });
    expect(viewFromWire("logger", event).providers).toMatchObject([{ health: "unhealthy" }]);
  });
});
