import { cookie } from "../../src/kit/server/protocol-facts.ts";
import type { Json } from "./broken-server.ts";

/** What a plugin that joins does otherwise than it should. */
export interface Twist {
  readonly handshake?: Json;
  readonly registration?: Json;
  readonly metadata?: Json;
  readonly headers?: Record<string, string>;
  /** How far it comes. Default: it registers. */
  readonly comes?: "not" | "to the handshake";
}

/** A plugin in a few lines: shakes hands and registers. */
export async function join(hostUrl: string, baseUrl: string, twist: Twist): Promise<void> {
  if (twist.comes === "not") return;
  const identity = await call(
    hostUrl,
    "HandshakeService/Handshake",
    {},
    {
      coreProtocolVersion: 1,
      appProtocolVersion: 1,
      magicCookieKey: cookie.key,
      magicCookieValue: cookie.value,
      selfId: "kit-joins",
      ...twist.handshake,
    },
  );
  if (twist.comes === "to the handshake") return;
  const { runtimeId, runtimeToken } = identity;
  const headers = { "x-plugin-runtime-id": runtimeId, authorization: `Bearer ${runtimeToken}`, ...twist.headers };
  await call(hostUrl, "ServiceRegistry/RegisterService", headers, {
    serviceType: "kit",
    version: "1.0.0",
    endpointPath: "/kit.v1.Kit/",
    metadata: { base_url: baseUrl, ...twist.metadata },
    ...twist.registration,
  });
}

/** What is wrong with plugins, by the rule that they break. */
export const joinBreakages: Readonly<Record<string, Twist>> = {
  "join.handshake": { comes: "not" },
  "join.cookie": { handshake: { magicCookieValue: "another" }, comes: "to the handshake" },
  "join.versions": { handshake: { coreProtocolVersion: 2 } },
  "join.self-id": { handshake: { selfId: "k..it" } },
  "join.self-version": { handshake: { selfVersion: "v".repeat(65) } },
  "join.client-metadata": { handshake: { clientMetadata: { "a key": "" } } },
  "join.register": { comes: "to the handshake" },
  "join.identity": { headers: { authorization: "Bearer of-nothing" } },
  "join.service-type": { registration: { serviceType: "1kit" } },
  "join.version": { registration: { version: "1.0.0+build" } },
  "join.endpoint-path": { registration: { endpointPath: "kit.v1.Kit" } },
  "join.metadata": { metadata: { "a key": "" } },
  "join.base-url": { metadata: { base_url: "http://user:pass@127.0.0.1:1/" } },
  "join.reachable": { metadata: { base_url: "http://127.0.0.1:1" } },
};

async function call(hostUrl: string, rpc: string, headers: Record<string, string>, body: Json): Promise<Json> {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
  const response = await fetch(`${hostUrl}/connectplugin.v1.${rpc}`, init);
  return await response.json();
}
