import { expectError, expectOk, expectSame } from "../../rule/expectations.ts";
import type { Rule } from "../../rule/rule.ts";
import { limit } from "../../server/protocol-facts.ts";
import { randomName } from "../../wire/random-name.ts";
import { pluginOf, register, tryDiscover } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";

const needs = ["register.accepted"];

/** A version that is provided, least versions that it satisfies, and others. */
interface VersionCase {
  readonly version: string;
  readonly satisfies: readonly string[];
  readonly not: readonly string[];
}

/** DiscoverService. */
export const discoveryRules: readonly Rule<HostUnderTest>[] = [
  {
    id: "discover.endpoint",
    section: "HTTP beside the RPCs",
    expects: "DiscoverService tells provider_id, version, metadata and /services/{type}/{provider-id}",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const metadata = { base_url: host.provider.baseUrl, zone: "kit" };
      const { type } = await register(host, plugin, { serviceType: randomName("kit.found"), metadata });
      const { endpoint } = expectOk("DiscoverService", await tryDiscover(host, plugin, type));
      expectSame("provider_id", endpoint?.providerId, plugin.runtimeId);
      expectSame("version", endpoint?.version, "1.0.0");
      expectSame("endpoint_url", endpoint?.endpointUrl, `/services/${type}/${plugin.runtimeId}`);
      expectSame("metadata[zone]", endpoint?.metadata.zone, "kit");
    },
  },
  {
    id: "discover.single",
    section: "Messages",
    expects: "single_provider is true with one provider of a type",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const { type } = await register(host, plugin, { serviceType: randomName("kit.single") });
      const { singleProvider } = expectOk("DiscoverService", await tryDiscover(host, plugin, type));
      expectSame("single_provider", singleProvider, true);
    },
  },
  {
    id: "discover.several",
    section: "Messages",
    expects: "several plugins may provide one type; single_provider is false then",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const serviceType = randomName("kit.several");
      await register(host, plugin, { serviceType });
      await register(host, await pluginOf(host, "other"), { serviceType });
      const { singleProvider } = expectOk("DiscoverService", await tryDiscover(host, plugin, serviceType));
      expectSame("single_provider", singleProvider, false);
    },
  },
  {
    id: "discover.unknown",
    section: "Errors",
    expects: "a type that nobody provides is not_found",
    needs,
    async check(host) {
      const answer = await tryDiscover(host, await pluginOf(host, "caller"), randomName("kit.nobody"));
      expectError("DiscoverService", answer, "not_found");
    },
  },
  {
    id: "discover.type-form",
    section: "Limits",
    expects: "a service_type that keeps not to its limits is invalid_argument",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "caller");
      for (const type of ["", "k..it", "k it", "k".repeat(limit.name + 1)]) {
        expectError(`service_type ${type.slice(0, 8)}`, await tryDiscover(host, plugin, type), "invalid_argument");
      }
    },
  },
  versions("discover.min-version", "a version satisfies itself and every older min_version, and no newer: not_found", {
    version: "2.1.3",
    satisfies: ["", "2.1.3", "2.1.2", "2.0.9", "1.9.9"],
    not: ["2.1.4", "2.2.0", "3.0.0"],
  }),
  versions(
    "discover.semver",
    "versions are compared as semver, not as text",
    { version: "10.0.0", satisfies: ["9.0.0"], not: ["10.0.1"] },
    "ours",
  ),
  versions("discover.prerelease", "prereleases are included: 2.0.0-rc.2 is newer than 1.9.0 and older than 2.0.0", {
    version: "2.0.0-rc.2",
    satisfies: ["1.9.0", "2.0.0-rc.1", "2.0.0-rc.2"],
    not: ["2.0.0-rc.10", "2.0.0"],
  }),
  {
    id: "discover.min-version-form",
    section: "Limits",
    expects: "a min_version that is a range, no semver or longer than 64 bytes is invalid_argument",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const { type } = await register(host, plugin, { serviceType: randomName("kit.range"), version: "1.0.0" });
      expectOk("64 bytes", await tryDiscover(host, plugin, type, "1.0.0-".padEnd(limit.version, "k")));
      for (const bad of ["^1.0.0", ">=1.0.0", "1.x", "1", "1.0.0+build", "1.0.0-".padEnd(limit.version + 1, "k")]) {
        expectError(`min_version ${bad.slice(0, 12)}`, await tryDiscover(host, plugin, type, bad), "invalid_argument");
      }
    },
  },
];

function versions(
  id: string,
  expects: string,
  { version, satisfies, not }: VersionCase,
  level?: "ours",
): Rule<HostUnderTest> {
  return {
    id,
    section: level === "ours" ? "Where we are stricter than the Go implementation" : "Limits",
    expects,
    level,
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const { type } = await register(host, plugin, { serviceType: randomName("kit.versions"), version });
      for (const least of satisfies) {
        expectOk(`${version} for min_version "${least}"`, await tryDiscover(host, plugin, type, least));
      }
      for (const least of not) {
        expectError(`${version} for min_version ${least}`, await tryDiscover(host, plugin, type, least), "not_found");
      }
    },
  };
}
