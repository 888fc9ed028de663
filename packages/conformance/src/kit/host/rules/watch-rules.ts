import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { ServiceState, type WatchServiceEvent } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { expectSame } from "../../rule/expectations.ts";
import type { Rule } from "../../rule/rule.ts";
import { randomName } from "../../wire/random-name.ts";
import { startEchoProvider } from "../echo-provider.ts";
import { pluginOf, register, reportHealth, unregister } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";
import { openWatch, stateName, type WatchReader } from "../watch-reader.ts";

const { AVAILABLE, UNAVAILABLE, DEGRADED } = ServiceState;
const needs = ["watch.snapshot", "watch.unprovided"];

/** WatchService: what is, then what changes. */
export const watchRules: readonly Rule<HostUnderTest>[] = [
  {
    id: "watch.snapshot",
    section: "Services",
    expects: "a watch begins with the present state: AVAILABLE, with the endpoint of a provider",
    needs: ["register.accepted"],
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const { type } = await register(host, plugin, { serviceType: randomName("kit.watched") });
      await watching(host, type, async (watch) => {
        const event = await watch.next();
        expectState(event, AVAILABLE);
        expectSame("service_type", event.serviceType, type);
        expectSame("endpoint_url", event.endpoint?.endpointUrl, `/services/${type}/${plugin.runtimeId}`);
      });
    },
  },
  {
    id: "watch.unprovided",
    section: "Services",
    expects: "a watch of a type that nobody provides begins with UNAVAILABLE",
    needs: ["register.accepted"],
    async check(host) {
      await watching(host, randomName("kit.nobody"), async (watch) => {
        const event = await watch.next();
        expectState(event, UNAVAILABLE);
        expectSame("endpoint", event.endpoint, undefined);
      });
    },
  },
  {
    id: "watch.appears",
    section: "Services",
    expects: "a watch tells that a provider has registered: AVAILABLE, with its endpoint",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const serviceType = randomName("kit.appears");
      await watching(host, serviceType, async (watch) => {
        await watch.next();
        await register(host, plugin, { serviceType });
        const event = await watch.next();
        expectState(event, AVAILABLE);
        expectSame("provider_id", event.endpoint?.providerId, plugin.runtimeId);
      });
    },
  },
  {
    id: "watch.goes",
    section: "Services",
    expects: "a watch tells that the last provider has unregistered: UNAVAILABLE",
    needs,
    async check(host) {
      const registered = await register(host, await pluginOf(host, "provider"), {
        serviceType: randomName("kit.goes"),
      });
      await watching(host, registered.type, async (watch) => {
        await watch.next();
        await unregister(host, registered);
        expectState(await watch.next(), UNAVAILABLE);
      });
    },
  },
  healthChange(
    "watch.unhealthy",
    "a watch tells that the provider reports UNHEALTHY",
    HealthState.UNHEALTHY,
    UNAVAILABLE,
  ),
  healthChange("watch.degraded", "a watch tells that the provider reports DEGRADED", HealthState.DEGRADED, DEGRADED),
  {
    id: "watch.death",
    section: "Where we are stricter than the Go implementation",
    expects: "a watch tells that the provider has died, soon: UNAVAILABLE",
    level: "ours",
    needs,
    async check(host) {
      const provider = await startEchoProvider(host.providerPlace);
      try {
        const metadata = { base_url: provider.baseUrl };
        const plugin = await pluginOf(host, "mortal");
        const { type } = await register(host, plugin, { serviceType: randomName("kit.mortal"), metadata });
        await watching(host, type, async (watch) => {
          expectState(await watch.next(), AVAILABLE);
          await provider.close();
          await watch.until(UNAVAILABLE);
        });
      } finally {
        await provider.close();
      }
    },
  },
  {
    id: "watch.last-state",
    section: "Where we are stricter than the Go implementation",
    expects: "after many changes a watch has told the last state",
    level: "ours",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const serviceType = randomName("kit.busy");
      await watching(host, serviceType, async (watch) => {
        for (let minor = 0; minor < changes; minor++) {
          const registered = await register(host, plugin, { serviceType, version: `1.${minor}.0` });
          await unregister(host, registered);
        }
        const version = `1.${changes}.0`;
        await register(host, plugin, { serviceType, version });
        let event = await watch.next();
        while (event.endpoint?.version !== version) event = await watch.next();
        expectState(event, AVAILABLE);
      });
    },
  },
];

const changes = 20;

function healthChange(id: string, expects: string, report: HealthState, state: ServiceState): Rule<HostUnderTest> {
  return {
    id,
    section: "Where we are stricter than the Go implementation",
    expects: `${expects}: ${stateName(state)}`,
    level: "ours",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "moody");
      await reportHealth(host, plugin, HealthState.HEALTHY);
      const { type } = await register(host, plugin, { serviceType: randomName("kit.moody") });
      await watching(host, type, async (watch) => {
        expectState(await watch.next(), AVAILABLE);
        await reportHealth(host, plugin, report);
        expectState(await watch.next(), state);
      });
      await reportHealth(host, plugin, HealthState.HEALTHY);
    },
  };
}

async function watching(host: HostUnderTest, type: string, look: (watch: WatchReader) => Promise<void>): Promise<void> {
  const watch = openWatch(host, await pluginOf(host, "caller"), type);
  try {
    await look(watch);
  } finally {
    watch.close();
  }
}

function expectState({ state }: WatchServiceEvent, expected: ServiceState): void {
  expectSame("state", stateName(state), stateName(expected));
}
