import { Code, createClient } from "@connectrpc/connect";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { HandshakeService } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { PluginControl, PluginIdentity } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { expect } from "vitest";
import { createServiceClient } from "../../src/client/service-client.ts";
import { contractPlugins } from "./contract-plugin.ts";
import { forKinds } from "./kinds.ts";
import type { ContractCase, Subject } from "./subject.ts";

async function withTransport(
  { plugin }: Subject,
  use: (transport: ReturnType<Subject["plugin"]["openTransport"]>["transport"]) => Promise<void>,
): Promise<void> {
  const calls = plugin.openTransport();
  try {
    await use(calls.transport);
  } finally {
    await calls.close();
  }
}

const names = Object.keys(contractPlugins);
const callerId = "some-plugin-0123456789abcdef";
const claim = { "x-plugin-caller-id": callerId };

export const platformCases: readonly ContractCase[] = [
  {
    title: "the handshake tells the plugins, their versions and the protocol's",
    async run({ plugin, traits }) {
      const connection = await plugin.connect();
      expect([...connection.plugins.keys()].sort()).toEqual([...names].sort());
      expect(connection.plugins.get("contract")?.version).toBe("1.2.3");
      expect(connection.appProtocolVersion).toBe(1);
      expect(connection.httpVersion).toBe(traits.httpVersion);
    },
  },
  {
    title: "a transport of its own speaks what the plugin's calls speak",
    async run({ plugin, traits }) {
      const calls = plugin.openTransport();
      await calls.close();
      expect(calls.httpVersion).toBe(traits.httpVersion);
    },
  },
  {
    title: "connecting again gives the same result",
    async run({ plugin }) {
      expect(await plugin.connect()).toEqual(await plugin.connect());
    },
  },
  {
    title: "a name that is no plugin of the set is refused",
    async run({ plugin }) {
      await expect(plugin.dispense("nobody" as "contract")).rejects.toThrow(TypeError);
    },
  },
  {
    title: "a handshake with the wrong cookie is refused",
    run: (subject) =>
      withTransport(subject, async (transport) => {
        const handshake = createClient(HandshakeService, transport);
        const request = { coreProtocolVersion: 1, appProtocolVersion: 1, magicCookieKey: "x", magicCookieValue: "y" };
        await expect(handshake.handshake(request)).rejects.toMatchObject({ code: Code.InvalidArgument });
      }),
  },
  ...["", ...names].map(
    (service): ContractCase => ({
      title: `health of "${service}" is SERVING`,
      run: (subject) =>
        withTransport(subject, async (transport) => {
          expect((await createClient(HealthService, transport).check({ service })).status).toBe(1);
        }),
    }),
  ),
  {
    title: "health of an unknown name is not_found",
    run: (subject) =>
      withTransport(subject, async (transport) => {
        const health = createClient(HealthService, transport);
        await expect(health.check({ service: "nobody" })).rejects.toMatchObject({ code: Code.NotFound });
      }),
  },
  {
    title: "a health watch begins with the present state, and ends when its reader leaves",
    run: (subject) =>
      withTransport(subject, async (transport) => {
        const statuses: number[] = [];
        for await (const { status } of createServiceClient(HealthService, transport).watch({})) {
          statuses.push(status);
          break;
        }
        expect(statuses).toEqual([1]);
      }),
  },
  {
    title: "PluginControl.GetHealth says healthy",
    run: (subject) =>
      withTransport(subject, async (transport) => {
        expect(await createClient(PluginControl, transport).getHealth({})).toMatchObject({ state: 1, reason: "" });
      }),
  },
  {
    title: "PluginIdentity.GetPluginInfo says who it is",
    run: (subject) =>
      withTransport(subject, async (transport) => {
        const info = await createClient(PluginIdentity, transport).getPluginInfo({});
        expect(info).toMatchObject({ selfId: "contract", selfVersion: "7.7.7" });
        expect(info.provides).toEqual([]);
      }),
  },
  {
    title: "Shutdown and SetRuntimeIdentity with a wrong control token are refused, and the plugin goes on",
    run: (subject) =>
      withTransport(subject, async (transport) => {
        const denied = { code: Code.PermissionDenied };
        // Whoever reaches a private socket is the host.
        for (const controlToken of subject.traits.provesHost ? [] : ["", "x".repeat(43)]) {
          const control = createClient(PluginControl, transport);
          await expect(control.shutdown({ controlToken })).rejects.toMatchObject(denied);
          const identity = createClient(PluginIdentity, transport);
          const given = { runtimeId: "a-b", runtimeToken: "t", hostUrl: "http://localhost:1", controlToken };
          await expect(identity.setRuntimeIdentity(given)).rejects.toMatchObject(denied);
        }
        expect((await subject.contract.unary({ text: "still here" })).text).toBe("still here");
      }),
  },
  ...forKinds("the caller that the plugin's own host names is believed", async ({ contract, plugin }, kind) => {
    const headers = { ...claim, "x-plugin-control-token": plugin.controlToken };
    const [answer] = await kind.call(contract, { act: "facts" }, { headers });
    expect(answer?.facts.caller).toBe(callerId);
    expect(answer?.facts["header:x-plugin-caller-id"]).toBe(callerId);
    expect(JSON.stringify(answer?.facts)).not.toContain(plugin.controlToken);
  }),
  ...forKinds("the caller that anybody else names is not", async ({ contract, traits }, kind) => {
    const headers = { ...claim, "x-plugin-control-token": "x".repeat(43) };
    const [answer] = await kind.call(contract, { act: "facts" }, { headers });
    expect(answer?.facts.caller).toBe(traits.provesHost ? callerId : "none");
    expect(answer?.facts["header:x-plugin-control-token"]).toBeUndefined();
  }),
  ...forKinds("a caller that is no runtime id is nobody", async ({ contract, plugin }, kind) => {
    const headers = { "x-plugin-caller-id": "-not/an id", "x-plugin-control-token": plugin.controlToken };
    const [answer] = await kind.call(contract, { act: "facts" }, { headers });
    expect(answer?.facts.caller).toBe("none");
    expect(answer?.facts["header:x-plugin-caller-id"]).toBeUndefined();
  }),
];
