import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { HealthState } from "../gen/connectplugin/v1/health_pb.ts";
import { PluginControl, PluginIdentity } from "../gen/connectplugin/v1/plugin_pb.ts";
import { createHealthReporter } from "../health/health-reporter.ts";
import { HEADER } from "../protocol/constants.ts";
import { createControlGuard } from "./control-guard.ts";
import { createLaunchChallenge, isLaunchProof } from "./launch-proof.ts";
import { createPluginControlService, type ShutdownOrder } from "./plugin-control-service.ts";
import { type AssignedIdentity, createPluginIdentityService } from "./plugin-identity-service.ts";

const controlToken = "c".repeat(43);
const logger = definePlugin({
  name: "logger",
  version: "1.2.3",
  service: Logger,
  provides: [{ type: "logger", version: "1.2.0" }],
  requires: [{ type: "clock", minVersion: "2.0.0", requiredForStartup: false }],
});

function start({ linked = true } = {}) {
  const health = createHealthReporter({ plugins: ["logger"] });
  const orders: ShutdownOrder[] = [];
  const assigned: AssignedIdentity[] = [];
  const guard = createControlGuard({ token: controlToken });
  const transport = createRouterTransport(({ service }) => {
    service(PluginControl, createPluginControlService({ guard, health, onShutdown: (order) => orders.push(order) }));
    service(
      PluginIdentity,
      createPluginIdentityService({
        plugins: { logger },
        selfId: "my-logger",
        selfVersion: "build 7",
        guard,
        assign: (identity) => linked && assigned.push(identity) > 0,
      }),
    );
  });
  const control = createClient(PluginControl, transport);
  const identity = createClient(PluginIdentity, transport);
  return { health, orders, assigned, control, identity };
}

describe("GetHealth", () => {
  it.each([
    { state: "healthy", wire: HealthState.HEALTHY },
    { state: "degraded", wire: HealthState.DEGRADED },
    { state: "unhealthy", wire: HealthState.UNHEALTHY },
  ] as const)("answers $state", async ({ state, wire }) => {
    const { health, control } = start();
    health.setHealth({ state, reason: "why", unavailableDependencies: ["clock"] });
    expect(await control.getHealth({})).toMatchObject({
      state: wire,
      reason: "why",
      unavailableDependencies: ["clock"],
    });
  });
});

describe("Shutdown", () => {
  it.each([
    { gracePeriodSeconds: 0, graceMs: 30_000 },
    { gracePeriodSeconds: 1, graceMs: 1_000 },
    { gracePeriodSeconds: 86_400, graceMs: 86_400_000 },
  ])("with a grace of $gracePeriodSeconds s begins with $graceMs ms", async ({ gracePeriodSeconds, graceMs }) => {
    const { control, orders } = start();
    const answer = await control.shutdown({ gracePeriodSeconds, reason: "upgrade", controlToken });
    expect(answer.acknowledged).toBe(true);
    expect(orders).toEqual([{ graceMs, reason: "upgrade" }]);
  });

  it.each([
    { request: { gracePeriodSeconds: -1, controlToken }, code: Code.InvalidArgument, names: "grace_period_seconds" },
    {
      request: { gracePeriodSeconds: 86_401, controlToken },
      code: Code.InvalidArgument,
      names: "grace_period_seconds",
    },
    { request: { reason: "r".repeat(4097), controlToken }, code: Code.InvalidArgument, names: "reason" },
    { request: { reason: "a\0b", controlToken }, code: Code.InvalidArgument, names: "reason" },
    { request: {}, code: Code.PermissionDenied, names: "control_token" },
    {
      request: { gracePeriodSeconds: -1, controlToken: "x".repeat(43) },
      code: Code.PermissionDenied,
      names: "control_token",
    },
  ])("$request is refused, naming $names", async ({ request, code, names }) => {
    const { control, orders } = start();
    await expect(control.shutdown(request)).rejects.toMatchObject({ code, rawMessage: expect.stringContaining(names) });
    expect(orders).toEqual([]);
  });
});

describe("GetPluginInfo", () => {
  it("tells what the plugin is, provides and requires", async () => {
    const { identity } = start();
    expect(await identity.getPluginInfo({})).toMatchObject({
      selfId: "my-logger",
      selfVersion: "build 7",
      provides: [{ type: "logger", version: "1.2.0", path: "/capability.logger.v1.Logger/" }],
      requires: [{ type: "clock", minVersion: "2.0.0", requiredForStartup: false, watchForChanges: false }],
      metadata: { name: "my-logger", version: "build 7" },
    });
  });
});

describe("GetPluginInfo with a challenge", () => {
  const proofFor = async (challenge: string): Promise<string | null> => {
    let proof: string | null = null;
    const onHeader = (header: Headers) => {
      proof = header.get(HEADER.launchProof);
    };
    await start().identity.getPluginInfo({}, { headers: { [HEADER.launchChallenge]: challenge }, onHeader });
    return proof;
  };

  it("proves that the plugin knows its control token", async () => {
    const challenge = createLaunchChallenge();
    expect(isLaunchProof(controlToken, challenge, (await proofFor(challenge)) ?? "")).toBe(true);
  });

  it("answers nothing to what is no challenge", async () => {
    expect(await proofFor("sign this")).toBeNull();
  });
});

describe("SetRuntimeIdentity", () => {
  const good = { runtimeId: "my-logger-1f", runtimeToken: "s3cret", hostUrl: "https://host:1/base", controlToken };

  it.each([
    { given: "https://host:1/base", hostUrl: "https://host:1/base" },
    { given: "unix:/run/host.sock", hostUrl: "unix:/run/host.sock" },
    { given: "", hostUrl: "http://localhost:8080" },
  ])('with host_url "$given" links to $hostUrl', async ({ given, hostUrl }) => {
    const { identity, assigned } = start();
    expect(await identity.setRuntimeIdentity({ ...good, hostUrl: given })).toMatchObject({ acknowledged: true });
    expect(assigned).toEqual([{ runtimeId: "my-logger-1f", runtimeToken: "s3cret", hostUrl }]);
  });

  it.each([
    { change: { runtimeId: "" }, names: "runtime_id" },
    { change: { runtimeId: "-x" }, names: "runtime_id" },
    { change: { runtimeId: `a${"b".repeat(256)}` }, names: "runtime_id" },
    { change: { runtimeToken: "" }, names: "runtime_token" },
    { change: { runtimeToken: "a b" }, names: "runtime_token" },
    { change: { runtimeToken: "sécret" }, names: "runtime_token" },
    { change: { runtimeToken: "x".repeat(4097) }, names: "runtime_token" },
    { change: { hostUrl: "ftp://host" }, names: "host_url" },
    { change: { hostUrl: "http://user:pw@host" }, names: "host_url" },
    { change: { hostUrl: `http://host/${"x".repeat(2048)}` }, names: "host_url" },
  ])("refuses $names of $change and repeats no secret", async ({ change, names }) => {
    const { identity, assigned } = start();
    const refused = expect(identity.setRuntimeIdentity({ ...good, ...change })).rejects;
    await refused.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: expect.stringMatching(new RegExp(`^${names}(?!.*(pw|s[eé]cret))`)),
    });
    expect(assigned).toEqual([]);
  });

  it.each(["", "x".repeat(43)])('is refused with the control token "%s"', async (wrong) => {
    const { identity, assigned } = start();
    await expect(identity.setRuntimeIdentity({ ...good, controlToken: wrong })).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
    expect(assigned).toEqual([]);
  });

  it("fails where nobody takes an identity", async () => {
    const { identity } = start({ linked: false });
    await expect(identity.setRuntimeIdentity(good)).rejects.toMatchObject({ code: Code.FailedPrecondition });
  });
});
