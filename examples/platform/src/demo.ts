// A host that launches what platform.json names, lends its log, and is seen from outside by who has the key. Each line is
// printed after what it says was checked; the exit code is 0 only if all of it held.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { createApiKeyAuth, getAuth } from "@cpg/auth";
import { createBroker, hostLogger } from "@cpg/broker";
import { nodeStrategy, serve } from "@cpg/core";
import { AdminService, PluginState } from "@cpg/core/gen/cpg/admin/v1/admin_pb";
import { createPlatform, type PlatformPlugin, readPlatformConfig, registryClient } from "@cpg/registry";
import { retry } from "@cpg/resilience";
import { greeterPlugin } from "./gen/greeter/v1/greeter_cpg.ts";

const done = (what: string, detail: string) => console.log(`  ✓ ${what.padEnd(9)} ${detail}`);
const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));

const lines: { readonly fields: object; readonly message: string }[] = [];
const write = (fields: object, message: string) => void lines.push({ fields, message });
const broker = createBroker({ capabilities: [hostLogger({ debug: write, info: write, warn: write, error: write })] });
const apiKey = randomBytes(32).toString("base64url");
const apiKeys = createApiKeyAuth({ keys: [{ identity: "console", value: apiKey }], credential: apiKey });

console.log("\nA platform from a file, with a broker, an admin service, and calls that survive.\n");
const config = await readPlatformConfig(pathOf("../platform.json"), { definitions: { greeter: greeterPlugin } });
const platform = await createPlatform({
  ...config,
  host: { ...config.host, interceptors: [apiKeys.serverInterceptor({ optional: true })] },
  extensions: [broker],
  admin: { authorize: ({ values }) => getAuth({ values })?.identity === "console" },
});
assert.deepEqual(
  platform.bootReport.map(({ id, state }) => `${id} is ${state}`),
  ["greeter is running"],
);
done("started", "greeter runs, as platform.json says");

// A program of its own, as a rule. It came by itself, and needs the greeter.
const visitor = await serve({
  plugins: {},
  impls: {},
  selfId: "visitor",
  declares: { requires: [{ type: "greeter" }] },
  link: {
    hostUrl: platform.host.endpoint,
    interceptors: [retry({ maxAttempts: 20, backoff: { initialMs: 50, maxMs: 500 } })],
  },
  listen: { port: 0 },
});
assert.ok(visitor.link);
await visitor.link.whenLinked();
const greeter = registryClient(visitor.link).service(greeterPlugin);

try {
  assert.equal((await greeter.greet({ name: "Ada" })).text, "hello, Ada");
  assert.ok(lines.some(({ fields, message }) => "plugin" in fields && message === "greets Ada"));
  done("lent", "the visitor was greeted, and the greeter's line is in the host's log");

  const admin = (interceptors = [apiKeys.clientInterceptor()]) =>
    createClient(
      AdminService,
      createConnectTransport({ baseUrl: platform.host.endpoint, httpVersion: "1.1", interceptors }),
    );
  const { state } = await admin().getState({});
  assert.deepEqual(
    state?.plugins.map(({ id, run }) => [id, run?.state]),
    [["greeter", PluginState.RUNNING]],
  );
  await assert.rejects(admin([]).getState({}), { code: Code.PermissionDenied });
  done("seen", "the admin service tells its state to who has the API key, and to nobody else");

  const answers: string[] = [];
  const replaced = new AbortController();
  const caller = async () => {
    while (!replaced.signal.aborted) answers.push((await greeter.greet({ name: "Ada" })).text);
  };
  const callers = [1, 2, 3, 4].map(caller);
  const { switchMs } = await platform.replace("greeter", politeGreeter());
  replaced.abort("it is replaced");
  await Promise.all(callers);
  assert.equal((await greeter.greet({ name: "Ada" })).text, "good day, Ada");
  done("replaced", `${answers.length} calls meanwhile, none failed; the switch took ${switchMs.toFixed(1)} ms`);

  const [before] = platform.plugins();
  assert.ok(before?.pid);
  process.kill(before.pid, "SIGKILL");
  assert.equal((await greeter.greet({ name: "Grace" })).text, "good day, Grace");
  assert.notEqual(platform.plugins()[0]?.pid, before.pid);
  done("crashed", "its process was killed; the next call waited for the new one, as retry() may");

  assert.deepEqual(
    platform.impact("greeter").breaks.map(({ selfId }) => selfId),
    ["visitor"],
  );
  const refused = ConnectError.from(await platform.remove("greeter").catch((reason: unknown) => reason));
  assert.equal(refused.code, Code.FailedPrecondition);
  done("needed", "it is not removed: the visitor would break");
} finally {
  await visitor.close();
  await platform.close();
}
assert.deepEqual(broker.grants(), []);
done("ended", "no process and no grant is left");
console.log("\nAll of it was checked. The programs are in examples/platform.\n");

/** The same program, said otherwise. */
function politeGreeter(): PlatformPlugin {
  const strategy = nodeStrategy({ entry: pathOf("greeter.ts"), env: { GREETING: "good day" } });
  return { id: "greeter", strategy, plugins: { greeter: greeterPlugin }, restart: { backoff: { initialMs: 50 } } };
}
