import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { expectSame } from "../../rule/expectations.ts";
import type { Rule } from "../../rule/rule.ts";
import { randomName } from "../../wire/random-name.ts";
import { type EchoProvider, startEchoProvider } from "../echo-provider.ts";
import { pluginOf, type Registered, register, reportHealth } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";
import { callRouted, routedPath, seenBy } from "../routed-call.ts";

const { HEALTHY, DEGRADED, UNHEALTHY } = HealthState;
const needs = ["route.call"];

/** What a provider says of its health, and what the host makes of it. */
export const providerHealthRules: readonly Rule<HostUnderTest>[] = [
  {
    id: "health-report.accepted",
    section: "Services",
    expects: "ReportHealth of HEALTHY, DEGRADED and UNHEALTHY is accepted",
    needs: ["handshake.identity"],
    async check(host) {
      const plugin = await pluginOf(host, "other");
      for (const state of [DEGRADED, UNHEALTHY, HEALTHY]) await reportHealth(host, plugin, state);
    },
  },
  {
    id: "health-report.unhealthy",
    section: "Errors",
    expects: "a provider that reports UNHEALTHY gets no calls: 503",
    needs,
    async check(host) {
      const registered = await moody(host, "sick");
      await reportHealth(host, registered.plugin, UNHEALTHY);
      expectSame("status", (await callRouted(host, routedPath(registered))).status, 503);
    },
  },
  {
    id: "health-report.recovered",
    section: "Services",
    expects: "a provider that reports HEALTHY again gets calls again",
    needs,
    async check(host) {
      const registered = await moody(host, "cured");
      await reportHealth(host, registered.plugin, UNHEALTHY);
      await reportHealth(host, registered.plugin, HEALTHY);
      seenBy(await callRouted(host, routedPath(registered)));
    },
  },
  {
    id: "health-report.degraded",
    section: "Services",
    expects: "a provider that reports DEGRADED is still called",
    needs,
    async check(host) {
      const registered = await moody(host, "tired");
      await reportHealth(host, registered.plugin, DEGRADED);
      seenBy(await callRouted(host, routedPath(registered)));
    },
  },
  {
    id: "probe.no-opinion",
    section: "Services",
    expects: "a provider that does not serve PluginControl.GetHealth is called all the same",
    needs,
    async check(host) {
      const provider = await startEchoProvider(host.providerPlace);
      try {
        const registered = await atProvider(host, "silent", provider);
        await Promise.race([provider.probed, host.clock.sleep(probeWaitMs, host.signal)]);
        seenBy(await callRouted(host, routedPath(registered)));
      } finally {
        await provider.close();
      }
    },
  },
  {
    id: "probe.unhealthy",
    section: "Services",
    expects: "a provider whose GetHealth answers UNHEALTHY gets no calls soon: 503",
    level: "ours",
    needs,
    async check(host) {
      const provider = await startEchoProvider({ ...host.providerPlace, health: UNHEALTHY });
      try {
        const registered = await atProvider(host, "probed", provider);
        let status = 200;
        while (status === 200) {
          ({ status } = await callRouted(host, routedPath(registered)));
          await host.clock.sleep(pauseMs, host.signal);
        }
        expectSame("status", status, 503);
      } finally {
        await provider.close();
      }
    },
  },
];

/** A host of ours probes after a second. Others need not probe at all. */
const probeWaitMs = 3_000;
const pauseMs = 20;

async function atProvider(host: HostUnderTest, part: string, { baseUrl }: EchoProvider): Promise<Registered> {
  const fields = { serviceType: randomName("kit.probed"), metadata: { base_url: baseUrl } };
  return await register(host, await pluginOf(host, part), fields);
}

async function moody(host: HostUnderTest, part: string): Promise<Registered> {
  return await register(host, await pluginOf(host, part), { serviceType: randomName("kit.moody") });
}
