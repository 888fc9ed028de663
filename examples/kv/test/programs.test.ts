import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { createPluginClient } from "@cpg/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kv } from "../src/plugin.ts";

const program = (name: string) => fileURLToPath(new URL(`../src/${name}`, import.meta.url));
let directory: string;
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
async function startServer(port: number) {
  const env = { ...process.env, PORT: String(port), KV_FILE: join(directory, "kv.db") };
  const child = spawn(process.execPath, [program("server.ts")], { env, stdio: ["ignore", "ignore", "pipe"] });
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
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  const [code] = await once(child, "exit");
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
