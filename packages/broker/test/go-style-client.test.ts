import { describe, expect, it } from "vitest";
import { hostLogger } from "../src/index.ts";
import { ask, startBrokerHost } from "./support/broker-host.ts";

interface Line {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

function recordingLog(lines: Line[]) {
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

describe("a client that has nothing but HTTP/1.1 and JSON, as connect-plugin-go's", () => {
  it.each(["", "/broker"])(
    "shakes hands, asks for the logger at %s/connectplugin.v1.CapabilityBroker, and logs under its grant",
    async (prefix) => {
      const lines: Line[] = [];
      await using host = await startBrokerHost(
        { capabilities: [hostLogger(recordingLog(lines))] },
        { publicUrl: "https://host.example:8443/" },
      );
      const { endpoint } = host;

      const handshake = await ask(endpoint, "/connectplugin.v1.HandshakeService/Handshake", {
        json: {
          coreProtocolVersion: 1,
          appProtocolVersion: 1,
          magicCookieKey: "CONNECT_PLUGIN",
          magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
          selfId: "greeter",
          selfVersion: "1.0.0",
        },
      });
      expect(handshake.json).toMatchObject({
        runtimeId: expect.stringMatching(/^greeter-/),
        hostCapabilities: [{ type: "logger", version: "1.0.0", endpoint: "https://host.example:8443/broker" }],
      });
      const { runtimeId, runtimeToken } = handshake.json;
      const headers = { "X-Plugin-Runtime-ID": String(runtimeId), Authorization: `Bearer ${runtimeToken}` };

      const answer = await ask(endpoint, `${prefix}/connectplugin.v1.CapabilityBroker/RequestCapability`, {
        headers,
        json: { capabilityType: "logger", minVersion: "1.0.0", reason: "to say hello" },
      });
      expect(answer.status).toBe(200);
      const grant = answer.json.grant as Record<string, string>;
      expect(grant).toEqual({
        grantId: expect.any(String),
        endpointUrl: `https://host.example:8443/capabilities/logger/${grant.grantId}`,
        bearerToken: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        capabilityType: "logger",
        version: "1.0.0",
        ttl: "3600s",
        maxTtl: "86400s",
        accessor: expect.any(String),
        renewable: true,
      });

      const path = new URL(String(grant.endpointUrl)).pathname;
      const logged = await ask(endpoint, `${path}/capability.logger.v1.Logger/Log`, {
        headers: { Authorization: `Bearer ${grant.bearerToken}` },
        json: { level: "INFO", message: "hello\nworld", fields: { a: "b" } },
      });
      expect(logged).toMatchObject({ status: 200, json: {} });
      expect(lines).toEqual([
        { level: "info", fields: { plugin: runtimeId, fields: { a: "b" } }, message: "hello\\nworld" },
      ]);
      expect(host.errors).toEqual([]);
      // No secret is in anything that is told to the host's own hooks.
      const told = JSON.stringify(host.events);
      expect(told).not.toContain(grant.bearerToken);
      expect(told).not.toContain(runtimeToken);
    },
  );
});
