import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { createPluginClient, serve } from "@cpg/core";
import { createRegistry, registryClient } from "@cpg/registry";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { kvPlugin as kv } from "../src/gen/kv/v1/kv_cpg.ts";

const program = (name: string) => fileURLToPath(new URL(`../src/${name}`, import.meta.url));
let directory: string;
const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL"); // of a test that failed
  children.clear();
});
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cpg-kv-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Starts the server program and resolves when it says that it listens. */
async function startServer(port: number, { hostUrl, file = "kv.db" }: { hostUrl?: string; file?: string } = {}) {
  const env = { ...process.env, PORT: String(port), HOST_URL: hostUrl, KV_FILE: join(directory, file) };
  const child = spawn(process.execPath, [program("server.ts")], { env, stdio: ["ignore", "ignore", "pipe"] });
  children.add(child);
  let said = "";
  for await (const chunk of child.stderr) {
    said += String(chunk);
    if (said.includes("kv listens on")) break;
  }
  return {
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

async function runClient(port: number): Promise<string> {
  const child = spawn(process.execPath, [program("client.ts")], { env: { ...process.env, PORT: String(port) } });
  children.add(child);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  const [code] = await once(child, "close"); // all that it wrote has been read
  expect(code).toBe(0);
  return output;
}

describe("server and client, each on its own", () => {
  it("agree, and the data outlives the server", { timeout: 30_000 }, async () => {
    const port = await freePort();
    const first = await startServer(port);
    expect(await runClient(port)).toMatch(
      /^there was no greeting\nthe watch saw greeting become "hello at .*"\ngreeting is "hello at .*"\n$/,
    );
    await first.stop();
    const second = await startServer(port);
    const store = createPluginClient({ endpoint: `http://127.0.0.1:${port}`, plugins: { kv } });
    const call = await store.dispense("kv");
    expect(new TextDecoder().decode((await call.get({ key: "greeting" })).value)).toMatch(/^hello at /);
    expect(await call.delete({ key: "greeting" })).toMatchObject({ found: true });
    expect(await call.delete({ key: "greeting" })).toMatchObject({ found: false });
    expect(await call.get({ key: "greeting" })).toMatchObject({ found: false });
    await expect(call.put({ key: "" })).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(call.get({ key: "k".repeat(1_025) })).rejects.toMatchObject({ code: Code.InvalidArgument });
    await store.close();
    await second.stop();
  });
});

it("the server joins the host that HOST_URL names, and leaves it when it ends", { timeout: 60_000 }, async () => {
  const quiet = { listen: { port: 0 }, environment: {}, handleSignals: false } as const;
  const registry = createRegistry();
  await using host = await serve({ plugins: {}, impls: {}, extensions: [registry], ...quiet });
  await using user = await serve({
    plugins: {},
    impls: {},
    selfId: "user",
    declares: { requires: [{ type: "kv" }] },
    link: { hostUrl: host.endpoint },
    ...quiet,
  });
  if (user.link === undefined) throw new Error("a program with a host has a link");
  await user.link.whenLinked({ timeoutMs: 20_000 });
  await using services = registryClient(user.link);

  const states = registry.watch("kv");
  expect((await states.next()).value).toMatchObject({ state: "unavailable", providers: [] });
  const server = await startServer(await freePort(), { hostUrl: host.endpoint, file: "joined.db" });
  expect((await states.next()).value).toMatchObject({ state: "available", providers: [{ version: "1.0.0" }] });
  const store = services.service(kv);
  await store.put({ key: "through", value: new TextEncoder().encode("the host") });
  expect(new TextDecoder().decode((await store.get({ key: "through" })).value)).toBe("the host");
  await server.stop();
  for await (const { providers } of states) if (providers.length === 0) break;
  expect(registry.providers().map(({ selfId }) => selfId)).not.toContain("kv");
});
