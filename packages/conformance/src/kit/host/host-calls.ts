import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import {
  type DiscoverServiceResponse,
  type RegisterServiceRequestSchema,
  type RegisterServiceResponseSchema,
  ServiceRegistry,
} from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { expectOk, expectThat } from "../rule/expectations.ts";
import { shakeHands } from "../server/handshake.ts";
import { header } from "../server/protocol-facts.ts";
import type { RpcAnswer } from "../wire/rpc-answer.ts";
import { callUnary } from "../wire/rpc-client.ts";
import type { Credentials, HostUnderTest } from "./host-under-test.ts";

/** A registration of the kit's. */
export interface Registered {
  readonly id: string;
  readonly type: string;
  readonly plugin: Credentials;
}

export type RegistrationFields = MessageInitShape<typeof RegisterServiceRequestSchema>;

/** How a plugin proves itself to its host. */
export function credentialHeaders({ runtimeId, token }: Credentials): Record<string, string> {
  return { [header.runtimeId]: runtimeId, [header.authorization]: `Bearer ${token}` };
}

/** The kit's plugin with that part; it shakes hands when it is first asked for. */
export async function pluginOf(host: HostUnderTest, part: string): Promise<Credentials> {
  const known = host.plugins.get(part);
  if (known !== undefined) return known;
  const plugin = await newIdentity(host, `kit-${part}`);
  host.plugins.set(part, plugin);
  return plugin;
}

export async function newIdentity(host: HostUnderTest, selfId: string): Promise<Credentials> {
  const answer = await shakeHands(host, { selfId, selfVersion: "1.0.0" });
  const { runtimeId, runtimeToken } = expectOk(`handshake as ${selfId}`, answer);
  expectThat(runtimeId !== "" && runtimeToken !== "", `the handshake as ${selfId} brought no identity`);
  return { runtimeId, token: runtimeToken };
}

/** A registration that is right but for `fields`. */
export async function tryRegister(
  host: HostUnderTest,
  plugin: Credentials,
  fields: RegistrationFields,
): Promise<RpcAnswer<MessageShape<typeof RegisterServiceResponseSchema>>> {
  const request = {
    version: "1.0.0",
    endpointPath: "/kit.v1.Echo/",
    metadata: { base_url: host.provider.baseUrl },
    ...fields,
  };
  const headers = credentialHeaders(plugin);
  const answer = await callUnary(host, ServiceRegistry.method.registerService, request, { headers });
  if (answer.kind === "message") {
    host.registered.push({ id: answer.message.registrationId, type: fields.serviceType ?? "", plugin });
  }
  return answer;
}

export async function register(
  host: HostUnderTest,
  plugin: Credentials,
  fields: RegistrationFields,
): Promise<Registered> {
  const { registrationId: id } = expectOk("RegisterService", await tryRegister(host, plugin, fields));
  return { id, type: fields.serviceType ?? "", plugin };
}

export function tryUnregister(host: HostUnderTest, plugin: Credentials, registrationId: string) {
  const headers = credentialHeaders(plugin);
  return callUnary(host, ServiceRegistry.method.unregisterService, { registrationId }, { headers });
}

export async function unregister(host: HostUnderTest, { plugin, id }: Registered): Promise<void> {
  expectOk("UnregisterService", await tryUnregister(host, plugin, id));
}

export function tryDiscover(
  host: HostUnderTest,
  plugin: Credentials,
  serviceType: string,
  minVersion = "",
): Promise<RpcAnswer<DiscoverServiceResponse>> {
  const headers = credentialHeaders(plugin);
  return callUnary(host, ServiceRegistry.method.discoverService, { serviceType, minVersion }, { headers });
}

export async function reportHealth(host: HostUnderTest, plugin: Credentials, state: HealthState): Promise<void> {
  const headers = credentialHeaders(plugin);
  const answer = await callUnary(host, PluginLifecycle.method.reportHealth, { state, reason: "kit" }, { headers });
  expectOk("ReportHealth", answer);
}
