import { expectError, expectOk, expectThat } from "../../rule/expectations.ts";
import type { Rule } from "../../rule/rule.ts";
import { limit } from "../../server/protocol-facts.ts";
import { randomName } from "../../wire/random-name.ts";
import {
  pluginOf,
  type RegistrationFields,
  register,
  tryDiscover,
  tryRegister,
  tryUnregister,
  unregister,
} from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";

type HostRule = Rule<HostUnderTest>;
type Metadata = Readonly<Record<string, string>>;

const needs = ["register.accepted"];

/** RegisterService, its limits, and UnregisterService. */
export const registrationRules: readonly HostRule[] = [
  {
    id: "register.accepted",
    section: "Services",
    expects: "RegisterService answers with a registration_id, and the service can be discovered",
    needs: ["handshake.identity"],
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const { id, type } = await register(host, plugin, { serviceType: randomName("kit.accepted") });
      expectThat(id !== "", "registration_id is empty");
      expectOk("DiscoverService", await tryDiscover(host, plugin, type));
    },
  },
  limits("register.type-length", "service_type of 128 bytes is accepted, of 129 is invalid_argument", {
    accepts: [{ serviceType: randomName("k").padEnd(limit.name, "k") }],
    refuses: [{ serviceType: randomName("k").padEnd(limit.name + 1, "k") }],
  }),
  limits("register.type-form", 'service_type matches ^[a-zA-Z][a-zA-Z0-9_.\\-]*$ without "..", else invalid_argument', {
    accepts: [{ serviceType: "Kit_a.b-9" }],
    refuses: ["", "1kit", "-kit", "k it", "k/it", "k..it", "kät"].map((serviceType) => ({ serviceType })),
  }),
  limits("register.version-length", "a version of 64 bytes is accepted, of 65 is invalid_argument", {
    accepts: [{ version: "1.0.0-".padEnd(limit.version, "k") }],
    refuses: [{ version: "1.0.0-".padEnd(limit.version + 1, "k") }],
  }),
  limits("register.version-form", "a version is semver without build metadata, else invalid_argument", {
    accepts: ["0.0.1", "1.2.3", "1.0.0-rc.1"].map((version) => ({ version })),
    refuses: ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0+build", "latest", "^1.0.0"].map((version) => ({ version })),
  }),
  limits("register.path-length", "an endpoint_path of 256 bytes is accepted, of 257 is invalid_argument", {
    accepts: [{ endpointPath: `/${"k".repeat(limit.path - 2)}/` }],
    refuses: [{ endpointPath: `/${"k".repeat(limit.path - 1)}/` }],
  }),
  limits(
    "register.path-form",
    "an endpoint_path begins and ends with / and holds no .., \\, ?, # or control character",
    {
      accepts: ["/kit/", "/a/kit.v1.Echo/"].map((endpointPath) => ({ endpointPath })),
      refuses: ["", "kit/", "/kit", "/a/../b/", "/a\\b/", "/a?b/", "/a#b/", "/a\tb/", "/a\u007fb/"].map(
        (endpointPath) => ({
          endpointPath,
        }),
      ),
    },
  ),
  limits("register.path-protected", "an endpoint_path under /connectplugin. is invalid_argument", {
    accepts: [{ endpointPath: "/connectplugins/" }],
    refuses: [{ endpointPath: "/connectplugin.v1.PluginControl/" }],
  }),
  metadataLimits("register.metadata-count", "100 entries of metadata are accepted, 101 are invalid_argument", {
    // With base_url, which each registration has.
    accepts: [entries(limit.metadataEntries - 1)],
    refuses: [entries(limit.metadataEntries)],
  }),
  metadataLimits(
    "register.metadata-key-length",
    "a metadata key of 256 bytes is accepted, of 257 is invalid_argument",
    {
      accepts: [{ ["k".repeat(limit.metadataKey)]: "" }],
      refuses: [{ ["k".repeat(limit.metadataKey + 1)]: "" }],
    },
  ),
  metadataLimits("register.metadata-key-form", "a metadata key matches ^[a-zA-Z][a-zA-Z0-9_.\\-]*$", {
    accepts: [{ "Kit_a.b-9": "" }],
    refuses: [{ "": "" }, { "1kit": "" }, { "k it": "" }, { "k/it": "" }, { kät: "" }],
  }),
  metadataLimits("register.metadata-value-length", "a metadata value of 4096 bytes is accepted, of 4097 is not", {
    accepts: [{ k: "v".repeat(limit.metadataValue) }],
    refuses: [{ k: "v".repeat(limit.metadataValue + 1) }],
  }),
  metadataLimits("register.utf8", "lengths count UTF-8 bytes, not characters", {
    accepts: [{ k: "é".repeat(limit.metadataValue / 2) }],
    refuses: [{ k: "é".repeat(limit.metadataValue / 2 + 1) }],
  }),
  metadataLimits("register.nul", "NUL is refused", { accepts: [{ k: "" }], refuses: [{ k: "a\u0000b" }] }),
  {
    id: "register.names-field",
    section: "Limits",
    expects: "a refusal names the field that breaks the rule",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const answer = await tryRegister(host, plugin, { serviceType: randomName("kit.named"), version: "bad" });
      expectError("version bad", answer, "invalid_argument");
      const message = answer.kind === "error" ? answer.error.message : "";
      expectThat(message.toLowerCase().includes("version"), `the message is ${JSON.stringify(message)}`);
    },
  },
  {
    id: "register.base-url",
    section: "Where we are stricter than the Go implementation",
    expects: "a base_url that is no plain http(s) URL is refused: invalid_argument or permission_denied",
    level: "ours",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      for (const url of ["ftp://127.0.0.1/", "http://user:pass@127.0.0.1:1/", "http://127.0.0.1:1/?q", "nonsense"]) {
        const fields = { serviceType: randomName("kit.url"), metadata: { base_url: url } };
        const answer = await tryRegister(host, plugin, fields);
        const code = answer.kind === "error" ? answer.error.code : answer.kind;
        expectThat(code === "invalid_argument" || code === "permission_denied", `base_url ${url}: ${code}`);
      }
    },
  },
  {
    id: "unregister.own",
    section: "Services",
    expects: "a plugin takes its own registration back, and it is not discovered any more",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const registered = await register(host, plugin, { serviceType: randomName("kit.taken-back") });
      await unregister(host, registered);
      expectError("DiscoverService", await tryDiscover(host, plugin, registered.type), "not_found");
    },
  },
  {
    id: "unregister.others",
    section: "Where we are stricter than the Go implementation",
    expects: "the registration of another plugin is permission_denied, and stays",
    level: "ours",
    needs,
    async check(host) {
      const registered = await register(host, await pluginOf(host, "provider"), {
        serviceType: randomName("kit.kept"),
      });
      const other = await pluginOf(host, "other");
      expectError("UnregisterService", await tryUnregister(host, other, registered.id), "permission_denied");
      expectOk("DiscoverService", await tryDiscover(host, other, registered.type));
    },
  },
  {
    id: "unregister.unknown",
    section: "Errors",
    expects: "an unknown registration_id is not_found",
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      expectError("UnregisterService", await tryUnregister(host, plugin, randomName("kit")), "not_found");
    },
  },
];

interface Boundary<T> {
  readonly accepts: readonly T[];
  readonly refuses: readonly T[];
}

function limits(id: string, expects: string, { accepts, refuses }: Boundary<RegistrationFields>): HostRule {
  return {
    id,
    section: "Limits",
    expects,
    needs,
    async check(host) {
      const plugin = await pluginOf(host, "provider");
      const serviceType = randomName("kit.limits");
      for (const fields of accepts) {
        const answer = await tryRegister(host, plugin, { serviceType, ...fields });
        expectOk(describe(fields), answer);
        if (answer.kind === "message") await tryUnregister(host, plugin, answer.message.registrationId);
      }
      for (const fields of refuses) {
        const answer = await tryRegister(host, plugin, { serviceType, ...fields });
        expectError(describe(fields), answer, "invalid_argument");
      }
    },
  };
}

function metadataLimits(id: string, expects: string, { accepts, refuses }: Boundary<Metadata>): HostRule {
  return {
    id,
    section: "Limits",
    expects,
    needs,
    check(host) {
      const fields = (metadata: Metadata) => ({ metadata: { base_url: host.provider.baseUrl, ...metadata } });
      return limits(id, expects, { accepts: accepts.map(fields), refuses: refuses.map(fields) }).check(host);
    },
  };
}

function entries(count: number): Metadata {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));
}

function describe(fields: RegistrationFields): string {
  const text = JSON.stringify(fields);
  return text.length <= 80 ? text : `${text.slice(0, 40)}… (${text.length} characters)`;
}
