import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { definePlugin } from "@cpg/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPlatform, type PlatformFile, readPlatformConfig } from "../src/index.ts";
import { createCaller, errorOf } from "./support/platform-plugins.ts";
import { RelayService } from "./support/relay-service.ts";

const version = "1.0.0";
const store = definePlugin({ name: "store", version, service: RelayService, provides: [{ type: "store", version }] });
const fixture = fileURLToPath(new URL("fixtures/platform-relay.ts", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "platform-config-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function written(file: PlatformFile | string): string {
  const path = join(folder, "platform.json");
  writeFileSync(path, typeof file === "string" ? file : JSON.stringify(file));
  return path;
}

describe("a configuration file of a platform", () => {
  it("starts what it names, by paths that start at its folder", async () => {
    const file = written({
      host: { listen: { port: 0 } },
      plugins: [
        {
          id: "store",
          serves: ["store"],
          node: {
            entry: relative(folder, fixture),
            env: { RELAY_ID: "store", RELAY_VERSION: version, RELAY_MODE: "" },
          },
          readyTimeoutMs: 20_000,
        },
        {
          id: "absent",
          optional: true,
          endpoint: "http://127.0.0.1:1",
          readyTimeoutMs: 100,
          restart: { maxRestarts: 0 },
        },
      ],
    });
    const config = await readPlatformConfig(file, { definitions: { store } });
    await using platform = await createPlatform({
      ...config,
      host: { ...config.host, environment: {}, handleSignals: false },
    });
    expect(platform.bootReport).toMatchObject([
      { id: "store", state: "running" },
      { id: "absent", state: "failed", optional: true },
    ]);
    expect(await createCaller(platform, ["store"]).call("store")).toBe("1.0.0 hello");
  });

  it("has sockets, programs and tokens beside it", async () => {
    writeFileSync(join(folder, "token"), `${"t".repeat(32)}\n`);
    const file = written({
      host: { listen: { socketPath: "run/host.sock" }, publicUrl: "http://h:1" },
      startConcurrency: 2,
      plugins: [
        { id: "far", endpoint: "http://far:1", attach: { controlTokenFile: "./token", selfId: "far" } },
        { id: "go", process: { command: "go-plugin" }, foreign: { selfId: "go", registers: "itself" } },
      ],
    });
    expect(await readPlatformConfig(file)).toMatchObject({
      host: { listen: { socketPath: join(folder, "run/host.sock") }, publicUrl: "http://h:1" },
      startConcurrency: 2,
      plugins: [
        { id: "far", endpoint: "http://far:1", attach: { controlToken: "t".repeat(32), selfId: "far" } },
        { id: "go", strategy: { kind: "process" }, foreign: { selfId: "go", registers: "itself" } },
      ],
    });
  });

  it.each([
    { what: "no JSON", file: "{", says: "it is no JSON" },
    { what: "a rule broken", file: { startConcurrency: 0 }, says: "startConcurrency: " },
    {
      what: "an id that is no name",
      file: { plugins: [{ id: "1", endpoint: "http://far:1" }] },
      says: "plugins[0].id",
    },
    {
      what: "an unknown definition",
      file: { plugins: [{ id: "kv", serves: ["store", "kv"], node: { entry: "x" } }] },
      says: "plugins[0].serves[1]: the program gives no definition kv, but: store",
    },
    {
      what: "a strategy's own rule",
      file: { plugins: [{ id: "kv", serves: ["store"], node: { entry: "x", env: { PORT: "1" } } }] },
      says: "plugins[0].node: env.PORT",
    },
    {
      what: "a bad type",
      file: { plugins: [{ id: "far", endpoint: "http://far:1", requires: [{ type: "no name!" }] }] },
      says: "plugins[0].requires[0].type",
    },
    {
      what: "an id twice",
      file: {
        plugins: [
          { id: "far", endpoint: "http://far:1" },
          { id: "far", endpoint: "http://far:2" },
        ],
      },
      says: "plugins[1].id",
    },
    {
      what: "no token",
      file: { plugins: [{ id: "far", endpoint: "http://far:1", attach: { controlTokenFile: "nowhere" } }] },
      says: "plugins[0].attach.controlTokenFile: ",
    },
  ])("is refused, naming file, path and rule: $what", async ({ file, says }) => {
    const path = written(file);
    const error = await errorOf(readPlatformConfig(path, { definitions: { store } }));
    expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(`${path}: `) });
    expect(error.rawMessage).toContain(says);
  });

  it.each([
    { what: "not there", path: () => join(folder, "nowhere.json"), code: Code.NotFound },
    { what: "a folder", path: () => folder, code: Code.Unavailable },
  ])("cannot be read when it is $what", async ({ path, code }) => {
    const error = await errorOf(readPlatformConfig(path()));
    expect(error).toMatchObject({ code, rawMessage: expect.stringContaining(path()) });
  });
});
