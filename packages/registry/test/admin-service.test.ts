import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { ServiceState } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { AdminService, PluginKind, PluginState } from "@cpg/core/gen/cpg/admin/v1/admin_pb";
import { describe, expect, it } from "vitest";
import type { AdminOptions, PlatformOptions } from "../src/index.ts";
import { errorOf, relayInMemory, relayProcess, startPlatform } from "./support/platform-plugins.ts";

const secret = { authorization: "Bearer admin-secret" };
const asAdmin = { headers: secret };
const adminOnly: AdminOptions["authorize"] = ({ requestHeader }) =>
  requestHeader.get("authorization") === secret.authorization;

async function startAdministered(admin: AdminOptions | undefined, options: PlatformOptions = {}) {
  const scene = await startPlatform({ ...options, admin });
  const transport = createConnectTransport({ baseUrl: scene.platform.host.endpoint, httpVersion: "2" });
  return { ...scene, client: createClient(AdminService, transport) };
}

const readingAll = (client: Awaited<ReturnType<typeof startAdministered>>["client"], options = {}) => [
  client.getState({}, options),
  client.watchState({}, options)[Symbol.asyncIterator]().next(),
  client.restartPlugin({ pluginId: "store" }, options),
  client.removePlugin({ pluginId: "store", force: true }, options),
];

const codesOf = async (calls: readonly Promise<unknown>[]) =>
  await Promise.all(calls.map(async (call) => (await errorOf(call)).code));

describe("the admin service", () => {
  it("is not there unless it is asked for", async () => {
    await using scene = await startAdministered(undefined);
    expect(await codesOf(readingAll(scene.client, asAdmin))).toEqual(Array(4).fill(Code.Unimplemented));
  });

  it("tells the state, and nothing that is secret", async () => {
    const needy = relayInMemory("needy", { requires: ["nobody"] });
    await using scene = await startAdministered(
      { authorize: adminOnly },
      { plugins: [relayProcess("store"), relayInMemory("api", { requires: ["store"] }), needy] },
    );
    const { state } = await scene.client.getState({}, asAdmin);
    expect(state?.plugins).toMatchObject([
      {
        id: "store",
        kind: PluginKind.MANAGED,
        operation: "",
        run: { state: PluginState.RUNNING, stage: "", launches: 1, selfId: "store", provides: [{ type: "store" }] },
        serving: { health: HealthState.HEALTHY, callsInFlight: 0, draining: false },
      },
      { id: "api", run: { state: PluginState.RUNNING, pid: 0, requires: [{ type: "store" }] } },
      {
        id: "needy",
        run: { state: PluginState.FAILED, stage: "dependencies", lastError: { code: "failed_precondition" } },
      },
    ]);
    expect(state?.plugins[0]?.run?.pid).toBeGreaterThan(0);
    expect(state?.services).toMatchObject([
      { type: "api", state: ServiceState.AVAILABLE, providers: [{ health: HealthState.HEALTHY }] },
      { type: "store", state: ServiceState.AVAILABLE },
    ]);
    expect(state?.graph?.edges).toMatchObject([{ consumer: "api", type: "store", providers: ["store"] }]);
    const text = JSON.stringify(state, (_key, value) => (typeof value === "bigint" ? `${value}` : value));
    expect(text).not.toMatch(/token|RELAY_|CPG_/i);
  });

  it("asks for each call, before anything is done, and passes only a clear yes", async () => {
    const asked: string[] = [];
    const answers = {
      no: () => false,
      "no answer": () => undefined as unknown as boolean,
      "something else": () => "yes" as unknown as boolean,
      "a late no": async () => false,
    };
    await using scene = await startAdministered(
      {
        operations: true,
        authorize(context) {
          asked.push(context.method.name);
          return answers[context.requestHeader.get("x-case") as keyof typeof answers]();
        },
      },
      { plugins: [relayInMemory("store")] },
    );
    for (const name of Object.keys(answers)) {
      const codes = await codesOf(readingAll(scene.client, { headers: { "x-case": name } }));
      expect(codes).toEqual(Array(4).fill(Code.PermissionDenied));
    }
    expect(asked.toSorted()).toEqual(
      ["GetState", "RemovePlugin", "RestartPlugin", "WatchState"].flatMap((name) => Array(4).fill(name)),
    );
    expect(scene.platform.plugins()).toMatchObject([{ id: "store", state: "running", launches: 1 }]);
  });

  it("passes errors for the caller on, and keeps others to itself", async () => {
    const heard: unknown[] = [];
    const fault = new Error("the password of the database is 1234");
    const reasons = { known: new ConnectError("log in first", Code.Unauthenticated), unknown: fault };
    await using scene = await startAdministered(
      {
        authorize({ requestHeader }) {
          throw reasons[requestHeader.get("x-case") as keyof typeof reasons];
        },
      },
      { host: { onError: (error) => heard.push(error) } },
    );
    const known = await errorOf(scene.client.getState({}, { headers: { "x-case": "known" } }));
    expect(known).toMatchObject({ code: Code.Unauthenticated, rawMessage: "log in first" });
    const unknown = await errorOf(scene.client.getState({}, { headers: { "x-case": "unknown" } }));
    expect(unknown).toMatchObject({ code: Code.PermissionDenied, rawMessage: "not allowed to call GetState" });
    expect(heard).toEqual([fault]);
  });

  it("watches: present state, changes, the end of the platform; and only so many at a time", async () => {
    await using scene = await startAdministered({ authorize: adminOnly, maxWatches: 1 });
    const leaving = new AbortController();
    const first = scene.client.watchState({}, { ...asAdmin, signal: leaving.signal })[Symbol.asyncIterator]();
    expect((await first.next()).value).toMatchObject({ state: { plugins: [] } });
    const refused = scene.client.watchState({}, asAdmin)[Symbol.asyncIterator]();
    expect(await errorOf(refused.next())).toMatchObject({ code: Code.ResourceExhausted });

    leaving.abort(new Error("enough"));
    await errorOf(first.next());
    const watchAgain = async () => {
      // The host hears of the first one's end in its own time.
      for (;;) {
        const again = scene.client.watchState({}, asAdmin)[Symbol.asyncIterator]();
        const begun = await again.next().catch((reason) => ConnectError.from(reason));
        if (!(begun instanceof ConnectError)) return again;
        expect(begun.code).toBe(Code.ResourceExhausted);
      }
    };
    const second = await watchAgain();
    const added = (async () => {
      for (;;) {
        const { value } = await second.next();
        if (value?.state?.plugins[0]?.run?.state === PluginState.RUNNING) return value.state;
      }
    })();
    await scene.platform.add(relayInMemory("store"));
    expect(await added).toMatchObject({ plugins: [{ id: "store" }] });

    const ended = errorOf(
      (async () => {
        while (!(await second.next()).done);
      })(),
    );
    await scene.platform.close({ graceMs: 5_000 });
    expect(await ended).toMatchObject({ code: Code.Unavailable });
  });

  it("restarts and removes only if that is on", async () => {
    const plugins = [relayInMemory("store"), relayInMemory("api", { requires: ["store"] })];
    await using off = await startAdministered({ authorize: adminOnly }, { plugins });
    expect(await codesOf(readingAll(off.client, asAdmin).slice(2))).toEqual(Array(2).fill(Code.PermissionDenied));
    expect(off.states()).toEqual(["store running", "api running"]);

    await using scene = await startAdministered({ authorize: adminOnly, operations: true }, { plugins });
    const before = scene.platform.state().plugins[0]?.runtimeId;
    await scene.client.restartPlugin({ pluginId: "store", grace: { seconds: 5n } }, asAdmin);
    expect(scene.platform.state().plugins[0]).toMatchObject({ id: "store", state: "running", launches: 2 });
    expect(scene.platform.state().plugins[0]?.runtimeId).not.toBe(before);

    const inUse = await errorOf(scene.client.removePlugin({ pluginId: "store" }, asAdmin));
    expect(inUse.code).toBe(Code.FailedPrecondition);
    expect(inUse.message).toContain("api");
    await scene.client.removePlugin({ pluginId: "store", force: true, reason: "not needed" }, asAdmin);
    expect(scene.states()).toEqual(["api running"]);
  });

  it.each([
    { what: "an unknown plugin", pluginId: "nobody", code: Code.NotFound, says: "nobody" },
    { what: "a long id", pluginId: "x".repeat(257), code: Code.InvalidArgument, says: "plugin_id" },
    { what: "a negative grace", grace: { seconds: -1n }, code: Code.InvalidArgument, says: "grace" },
    { what: "a grace of days", grace: { seconds: 90_000n }, code: Code.InvalidArgument, says: "grace" },
    { what: "a long reason", reason: "x".repeat(257), code: Code.InvalidArgument, says: "reason" },
  ])("refuses by field: $what", async ({ pluginId = "store", code, says, grace, reason }) => {
    await using scene = await startAdministered(
      { authorize: adminOnly, operations: true },
      { plugins: [relayInMemory("store")] },
    );
    const request = { pluginId, ...(grace && { grace }), ...(reason && { reason }) };
    const error = await errorOf(scene.client.removePlugin(request, asAdmin));
    expect(error.code).toBe(code);
    expect(error.rawMessage).toContain(says);
    expect(scene.states()).toEqual(["store running"]);
  });

  it.each([
    { option: "admin.authorize", admin: {} },
    { option: "admin.operations", admin: { authorize: adminOnly, operations: "yes" } },
    { option: "admin.maxWatches", admin: { authorize: adminOnly, maxWatches: 0 } },
  ])("cannot be switched on with a bad $option", async ({ option, admin }) => {
    const platform = startPlatform({ admin: admin as AdminOptions });
    await expect(platform).rejects.toThrow(option);
  });
});
