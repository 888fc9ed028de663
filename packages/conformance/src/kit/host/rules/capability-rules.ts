import type { MessageInitShape } from "@bufbuild/protobuf";
import { Logger, type LogRequestSchema } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import {
  CapabilityBroker,
  type CapabilityGrant,
  type RequestCapabilityRequestSchema,
} from "@cpg/core/gen/connectplugin/v1/broker_pb";
import type { Capability } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { expectError, expectOk, expectSame, expectThat } from "../../rule/expectations.ts";
import { NotApplicable } from "../../rule/finding.ts";
import type { Rule } from "../../rule/rule.ts";
import { shakeHands } from "../../server/handshake.ts";
import { faultOfName, faultOfVersion, header } from "../../server/protocol-facts.ts";
import { createHttpClient } from "../../wire/http-client.ts";
import { readWhole } from "../../wire/http-exchange.ts";
import { randomName } from "../../wire/random-name.ts";
import { callUnary } from "../../wire/rpc-client.ts";
import { credentialHeaders, pluginOf } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";

const needs = ["capability.advertised"];
const granted = ["capability.request"];

/** What a host lends, if it advertises that in the handshake's host_capabilities. */
export const capabilityRules: readonly Rule<HostUnderTest>[] = [
  {
    id: "capability.advertised",
    section: "HTTP beside the RPCs",
    expects: "each of the host_capabilities has a type, a semver version and an absolute URL",
    needs: ["handshake.identity"],
    async check(host) {
      for (const { type, version, endpoint } of await advertised(host)) {
        expectSame(`fault of type ${type}`, faultOfName(type), undefined);
        expectSame(`fault of version ${version}`, faultOfVersion(version), undefined);
        expectAbsolute("endpoint", endpoint);
      }
    },
  },
  {
    id: "capability.request",
    section: "Messages",
    expects: "RequestCapability gives a grant: grant_id, bearer_token, the type and its version",
    needs,
    async check(host) {
      const [capability] = await advertised(host);
      const grant = await grantOf(host);
      expectThat(grant.grantId !== "", "grant_id is empty");
      expectThat(grant.bearerToken !== "", "bearer_token is empty");
      expectSame("capability_type", grant.capabilityType, capability.type);
      expectSame("fault of version", faultOfVersion(grant.version), undefined);
    },
  },
  {
    id: "capability.broker-path",
    section: "HTTP beside the RPCs",
    expects: "RequestCapability is served below /broker/, too",
    needs: granted,
    async check(host) {
      const [{ type }] = await advertised(host);
      const { grant } = expectOk("/broker/", await request(host, { capabilityType: type }, { prefix: "/broker" }));
      expectThat(grant !== undefined && grant.bearerToken !== "", "no grant");
    },
  },
  {
    id: "capability.grant-url",
    section: "HTTP beside the RPCs",
    expects: "endpoint_url of a grant is absolute and ends with /capabilities/{type}/{grant_id}",
    needs: granted,
    async check(host) {
      const { endpointUrl, capabilityType, grantId } = await grantOf(host);
      expectAbsolute("endpoint_url", endpointUrl);
      const path = new URL(endpointUrl).pathname.replace(/\/$/, "");
      expectThat(path.endsWith(`/capabilities/${capabilityType}/${grantId}`), `endpoint_url ${endpointUrl}`);
    },
  },
  {
    id: "capability.identity",
    section: "Where we are stricter than the Go implementation",
    expects: "RequestCapability without an identity, or with a wrong token, is unauthenticated",
    level: "ours",
    needs: granted,
    async check(host) {
      const [{ type: capabilityType }] = await advertised(host);
      const plugin = await pluginOf(host, "caller");
      const wrong = credentialHeaders({ ...plugin, token: "k".repeat(43) });
      expectError("no credentials", await request(host, { capabilityType }, { headers: {} }), "unauthenticated");
      expectError("wrong token", await request(host, { capabilityType }, { headers: wrong }), "unauthenticated");
    },
  },
  {
    id: "capability.unknown",
    section: "Errors",
    expects: "RequestCapability of a type that is not lent is not_found",
    needs: granted,
    async check(host) {
      const capabilityType = randomName("kit.nothing");
      expectError("RequestCapability", await request(host, { capabilityType }), "not_found");
    },
  },
  {
    id: "capability.min-version",
    section: "Where we are stricter than the Go implementation",
    expects: "min_version is honoured: its own version is granted, one that is too new is not_found",
    level: "ours",
    needs: granted,
    async check(host) {
      const [{ type: capabilityType, version }] = await advertised(host);
      expectOk(`min_version ${version}`, await request(host, { capabilityType, minVersion: version }));
      const tooNew = await request(host, { capabilityType, minVersion: "9007199254740991.0.0" });
      expectError("min_version 9007199254740991.0.0", tooNew, "not_found");
    },
  },
  {
    id: "capability.token",
    section: "Errors",
    expects: "a call of a grant without its bearer token, or with another, is 401",
    needs: granted,
    async check(host) {
      const grant = await grantOf(host);
      expectSame("status without a token", await statusAt(host, grant, undefined), 401);
      expectSame("status with another token", await statusAt(host, grant, "k".repeat(43)), 401);
    },
  },
  {
    id: "capability.unknown-grant",
    section: "Errors",
    expects: "a call of an unknown grant is 404",
    needs: granted,
    async check(host) {
      const grant = await grantOf(host);
      const grantId = randomName("kit");
      const endpointUrl = grant.endpointUrl.replace(grant.grantId, grantId);
      expectSame("status", await statusAt(host, { ...grant, endpointUrl }, grant.bearerToken), 404);
    },
  },
  {
    id: "capability.malformed",
    section: "Errors",
    expects: "a path below /capabilities without a type and a grant is 400",
    needs: granted,
    async check(host) {
      const { bearerToken } = await grantOf(host);
      const headers = { [header.authorization]: `Bearer ${bearerToken}` };
      for (const path of ["/capabilities/", "/capabilities/kit"]) {
        const { status } = await readWhole(host.http.open("1.1", { path, headers }, host.signal));
        expectSame(`status of ${path}`, status, 400);
      }
    },
  },
  {
    id: "capability.logger",
    section: "Services",
    expects: "Logger.Log of a granted logger is served below endpoint_url",
    needs: granted,
    async check(host) {
      const grant = await grantOf(host, "logger");
      const headers = { [header.authorization]: `Bearer ${grant.bearerToken}` };
      const http = createHttpClient({ endpoint: grant.endpointUrl, ca: host.ca });
      try {
        const entry: MessageInitShape<typeof LogRequestSchema> = { level: "info", message: "from the protocol kit" };
        expectOk("Log", await callUnary({ http, signal: host.signal }, Logger.method.log, entry, { headers }));
      } finally {
        http.close();
      }
    },
  },
];

type RequestFields = MessageInitShape<typeof RequestCapabilityRequestSchema>;
type NonEmpty<T> = [T, ...T[]];

/** @throws {NotApplicable} when the host advertises nothing. */
async function advertised(host: HostUnderTest): Promise<NonEmpty<Capability>> {
  const { hostCapabilities } = expectOk("handshake", await shakeHands(host));
  const [first, ...others] = hostCapabilities;
  if (first === undefined) throw new NotApplicable("the host advertises no capability");
  return [first, ...others];
}

async function request(
  host: HostUnderTest,
  fields: RequestFields,
  options: { readonly headers?: Record<string, string>; readonly prefix?: string } = {},
) {
  const headers = options.headers ?? credentialHeaders(await pluginOf(host, "caller"));
  const asked = { reason: "protocol kit", ...fields };
  return await callUnary(host, CapabilityBroker.method.requestCapability, asked, { ...options, headers });
}

/** A new grant. @throws {NotApplicable} when there is no such capability, or the host's policy refuses. */
async function grantOf(host: HostUnderTest, type?: string): Promise<CapabilityGrant> {
  const capabilities = await advertised(host);
  const wanted = type === undefined ? capabilities[0] : capabilities.find((capability) => capability.type === type);
  if (wanted === undefined) throw new NotApplicable(`the host advertises no ${type}`);
  const answer = await request(host, { capabilityType: wanted.type });
  if (answer.kind === "error" && answer.error.code === "permission_denied") {
    throw new NotApplicable(`the host's policy gives ${wanted.type} to no stranger`);
  }
  const { grant } = expectOk("RequestCapability", answer);
  expectThat(grant !== undefined, "no grant");
  return grant;
}

async function statusAt(host: HostUnderTest, grant: CapabilityGrant, token: string | undefined): Promise<number> {
  const http = createHttpClient({ endpoint: grant.endpointUrl, ca: host.ca });
  try {
    const headers = {
      "content-type": "application/json",
      ...(token !== undefined && { [header.authorization]: `Bearer ${token}` }),
    };
    const path = "/capability.logger.v1.Logger/Log";
    const { status } = await readWhole(http.open("1.1", { path, headers, body: Buffer.from("{}") }, host.signal));
    return status;
  } finally {
    http.close();
  }
}

function expectAbsolute(what: string, url: string): void {
  expectThat(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), `${what} ${JSON.stringify(url)}`);
}
