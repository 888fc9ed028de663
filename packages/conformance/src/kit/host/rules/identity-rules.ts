import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { expectError, expectOk, expectSame, expectThat } from "../../rule/expectations.ts";
import type { Rule } from "../../rule/rule.ts";
import { type HandshakeFields, shakeHands } from "../../server/handshake.ts";
import { header, limit } from "../../server/protocol-facts.ts";
import { randomName } from "../../wire/random-name.ts";
import type { RpcAnswer } from "../../wire/rpc-answer.ts";
import { callServerStream, callUnary } from "../../wire/rpc-client.ts";
import { credentialHeaders, newIdentity, pluginOf } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";

type HostRule = Rule<HostUnderTest>;
type Headers = Readonly<Record<string, string>>;

const minSuffix = 10;
const needs = ["handshake.identity"];

/** What a handshake with self_id brings, and its limits. */
export const namedHandshakeRules: readonly HostRule[] = [
  {
    id: "handshake.identity",
    section: "The two deployment models",
    expects: "a handshake with self_id brings a runtime_id and a runtime_token",
    needs: ["handshake.versions"],
    check: async (host) => void (await pluginOf(host, "caller")),
  },
  {
    id: "handshake.runtime-id",
    section: "Defaults",
    expects: "a runtime id is the self_id in lower case, a dash and a suffix",
    needs,
    async check(host) {
      const { runtimeId } = await newIdentity(host, "Kit-Mixed");
      expectThat(/^kit-mixed-[a-zA-Z0-9_.-]+$/.test(runtimeId), `${runtimeId} for self_id Kit-Mixed`);
    },
  },
  {
    id: "handshake.unique",
    section: "Defaults",
    expects: "two handshakes of one self_id get two ids and two tokens",
    needs,
    async check(host) {
      const one = await newIdentity(host, "kit-twin");
      const two = await newIdentity(host, "kit-twin");
      expectThat(one.runtimeId !== two.runtimeId, `${one.runtimeId} twice`);
      expectThat(one.token !== two.token, "one token twice");
    },
  },
  {
    id: "handshake.suffix",
    section: "Where we are stricter than the Go implementation",
    expects: `the random suffix of a runtime id is long enough never to collide: ${minSuffix} characters or more`,
    level: "ours",
    needs: ["handshake.runtime-id"],
    async check(host) {
      const { runtimeId } = await newIdentity(host, "kit-long");
      expectThat(runtimeId.length >= "kit-long-".length + minSuffix, runtimeId);
    },
  },
  limits("handshake.self-id-length", "self_id of 128 bytes is accepted, of 129 is invalid_argument", {
    accepts: [{ selfId: "k".repeat(limit.name) }],
    refuses: [{ selfId: "k".repeat(limit.name + 1) }],
  }),
  limits("handshake.self-id-form", `self_id matches ^[a-zA-Z][a-zA-Z0-9_.\\-]*$ without "..", else invalid_argument`, {
    accepts: [{ selfId: "Kit_a.b-9" }],
    refuses: ["1kit", "-kit", "k it", "k/it", "k..it", "kät", "kit\u0000"].map((selfId) => ({ selfId })),
  }),
  limits("handshake.self-version", "self_version is free text of up to 64 bytes without NUL, else invalid_argument", {
    accepts: [
      { selfId: "kit-free", selfVersion: "build #7, é" },
      { selfId: "kit-free", selfVersion: "v".repeat(64) },
    ],
    refuses: [
      { selfId: "kit-free", selfVersion: "v".repeat(limit.selfVersion + 1) },
      { selfId: "kit-free", selfVersion: "v\u0000" },
    ],
  }),
  limits("handshake.metadata", "client_metadata keeps the limits of metadata, else invalid_argument", {
    accepts: [{ clientMetadata: { ["k".repeat(limit.metadataKey)]: "v".repeat(limit.metadataValue) } }],
    refuses: [
      { clientMetadata: { ["k".repeat(limit.metadataKey + 1)]: "" } },
      { clientMetadata: { k: "v".repeat(limit.metadataValue + 1) } },
      { clientMetadata: { "a key": "" } },
      { clientMetadata: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, ""])) },
    ],
  }),
];

function limits(
  id: string,
  expects: string,
  { accepts, refuses }: Readonly<Record<"accepts" | "refuses", readonly HandshakeFields[]>>,
): HostRule {
  return {
    id,
    section: "Limits",
    expects,
    needs,
    async check(host) {
      for (const fields of accepts) expectOk(JSON.stringify(fields).slice(0, 60), await shakeHands(host, fields));
      for (const fields of refuses) {
        expectError(JSON.stringify(fields).slice(0, 60), await shakeHands(host, fields), "invalid_argument");
      }
    },
  };
}

/** Every RPC of a host that needs an identity, with requests that would be right otherwise. */
async function callAll(host: HostUnderTest, headers: Headers): Promise<Map<string, RpcAnswer<unknown>>> {
  const serviceType = randomName("kit.nobody");
  const { registerService, unregisterService, discoverService, watchService } = ServiceRegistry.method;
  const registration = {
    serviceType,
    version: "1.0.0",
    endpointPath: "/kit.v1.Echo/",
    metadata: { base_url: host.provider.baseUrl },
  };
  const answers = new Map<string, RpcAnswer<unknown>>();
  answers.set("RegisterService", await callUnary(host, registerService, registration, { headers }));
  answers.set("UnregisterService", await callUnary(host, unregisterService, { registrationId: "kit" }, { headers }));
  answers.set("DiscoverService", await callUnary(host, discoverService, { serviceType }, { headers }));
  const watch = callServerStream(host, watchService, { serviceType }, { headers });
  for await (const item of watch) {
    const ended: RpcAnswer<unknown> = { kind: "message", message: "a stream", headers: {} };
    answers.set("WatchService", item.kind === "message" ? ended : (item.answer ?? ended));
    break;
  }
  watch.cancel();
  const { reportHealth } = PluginLifecycle.method;
  answers.set("ReportHealth", await callUnary(host, reportHealth, { state: HealthState.HEALTHY }, { headers }));
  return answers;
}

async function expectStrangers(host: HostUnderTest, headers: Headers): Promise<void> {
  for (const [rpc, answer] of await callAll(host, headers)) {
    expectError(rpc, answer, "unauthenticated");
    if (answer.kind === "error" && rpc !== "WatchService") {
      expectSame(`HTTP status of ${rpc}`, answer.error.httpStatus, 401);
    }
  }
}

const unknownToken = "k".repeat(43);

/** Who is nobody to a host. */
export const identityRules: readonly HostRule[] = [
  {
    id: "identity.missing",
    section: "Errors",
    expects: "every RPC of the host without credentials is unauthenticated, 401",
    needs,
    check: (host) => expectStrangers(host, {}),
  },
  {
    id: "identity.unknown",
    section: "Errors",
    expects: "every RPC of the host with an unknown runtime id is unauthenticated, 401",
    needs,
    check: (host) => expectStrangers(host, credentialHeaders({ runtimeId: randomName("kit"), token: unknownToken })),
  },
  {
    id: "identity.wrong-token",
    section: "Where we are stricter than the Go implementation",
    expects: "every RPC of the host with a wrong token is unauthenticated, 401",
    level: "ours",
    needs,
    async check(host) {
      await expectStrangers(host, credentialHeaders({ ...(await pluginOf(host, "caller")), token: unknownToken }));
    },
  },
  {
    id: "identity.other-token",
    section: "Where we are stricter than the Go implementation",
    expects: "every RPC of the host with the token of another plugin is unauthenticated, 401",
    level: "ours",
    needs,
    async check(host) {
      const { runtimeId } = await pluginOf(host, "caller");
      const { token } = await pluginOf(host, "other");
      await expectStrangers(host, credentialHeaders({ runtimeId, token }));
    },
  },
  {
    id: "identity.id-only",
    section: "Where we are stricter than the Go implementation",
    expects: "every RPC of the host with a runtime id alone is unauthenticated, 401",
    level: "ours",
    needs,
    async check(host) {
      await expectStrangers(host, { [header.runtimeId]: (await pluginOf(host, "caller")).runtimeId });
    },
  },
];
