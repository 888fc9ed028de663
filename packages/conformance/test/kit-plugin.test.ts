import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type PluginServer, serve } from "@cpg/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pluginCommand } from "../src/kit/command/plugin-command.ts";
import { checkJoiningPlugin, checkPlugin, joiningRules, pluginRules } from "../src/kit/plugin/check-plugin.ts";
import type { RuleResult } from "../src/kit/rule/run-rules.ts";
import { startKvPlugin } from "./interop/kv.ts";
import { startBrokenServer } from "./kit/broken-server.ts";
import { join, joinBreakages, type Twist } from "./kit/joining-plugin.ts";
import { pluginBreakages } from "./kit/plugin-breakages.ts";
import { callKit, runKit } from "./kit/run-kit.ts";

const controlToken = "the kit is the host of this plugin";
const startPlugin = (): Promise<PluginServer> => startKvPlugin(undefined, "kit-kv", { token: controlToken });

let plugin: PluginServer;
beforeAll(async () => {
  plugin = await startPlugin();
});
afterAll(() => plugin.close());

/** A plugin whose host may be gone before it is done. */
const joins = (twist: Twist, place: PluginServer) => (hostUrl: string) => {
  join(hostUrl, place.endpoint, twist).catch(() => {});
};

const failedOf = (results: readonly RuleResult[]) =>
  results.filter(({ status }) => status === "FAILED").map(({ id }) => id);
const summary = (count: number): string => `${count} of ${count} rules ok, 0 failed, 0 skipped`;

describe("a plugin of ours that a host manages", () => {
  it("keeps every rule, as the command tells", async () => {
    const ended = await startPlugin();
    const args = ["--endpoint", ended.endpoint, "--control-token", controlToken, "--strict", "--shutdown"];
    const { code, output } = await runKit("plugin.ts", args);
    const lines = output.trimEnd().split("\n");
    expect(lines.slice(0, -1).filter((line) => !line.startsWith("ok "))).toEqual([]);
    expect(lines.at(-1)).toBe(summary(pluginRules.length));
    expect(code).toBe(0);
    await ended.closed;
  });

  it("is not ended unasked, and what needs proof is skipped without one", async () => {
    const results = await checkPlugin({ endpoint: plugin.endpoint, strict: true, only: ["control"] });
    expect(failedOf(results)).toEqual([]);
    const skipped = results.filter(({ status }) => status === "skipped").map(({ id }) => id);
    expect(skipped).toEqual([
      "control.guarded-identity",
      "control.guarded-shutdown",
      "control.identity",
      "control.proof",
      "control.shutdown",
    ]);
  });
});

describe("a broken plugin that a host manages", () => {
  it("is there for every rule", () => {
    expect(Object.keys(pluginBreakages).toSorted()).toEqual(pluginRules.map(({ id }) => id).toSorted());
  });

  it.concurrent.each(Object.entries(pluginBreakages))("fails %s, and no other rule", async (id, breakage) => {
    const good = id === "control.shutdown" || id === "control.proof" ? await startPlugin() : plugin;
    await using broken = await startBrokenServer(good.endpoint, breakage);
    const results = await checkPlugin({
      endpoint: broken.url,
      strict: true,
      only: [id],
      controlToken,
      shutdown: true,
      ruleTimeoutMs: 20_000,
    });
    expect(failedOf(results)).toEqual([id]);
    expect(results.filter(({ status }) => status !== "ok").map((result) => result.id)).toEqual([id]);
    if (good !== plugin) await good.close();
  });
});

describe("a plugin of ours that joins a host", () => {
  it("keeps every rule, as the command tells", async () => {
    const file = fileURLToPath(new URL("../src/kit/command/plugin.ts", import.meta.url));
    const args = ["--disable-warning=ExperimentalWarning", file, "--join", "--strict"];
    const kit: ChildProcessByStdio<null, Readable, Readable> = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const closed = once(kit, "close");
    const output = text(kit.stdout);
    const [line] = await once(kit.stderr, "data");
    const [hostUrl = ""] = /http:\/\/\S+/.exec(String(line)) ?? [];
    await using _joining = await startKvPlugin(hostUrl, "kit-joins");
    const [code] = await closed;
    expect((await output).trimEnd().split("\n").at(-1)).toBe(summary(joiningRules.length));
    expect(code).toBe(0);
  });
});

describe("a broken plugin that joins a host", () => {
  let place: PluginServer;
  beforeAll(async () => {
    place = await serve({
      plugins: {},
      impls: {},
      selfId: "place",
      listen: { port: 0 },
      link: false,
      environment: {},
      handleSignals: false,
    });
  });
  afterAll(() => place.close());

  it("is there for every rule", () => {
    expect(Object.keys(joinBreakages).toSorted()).toEqual(joiningRules.map(({ id }) => id).toSorted());
  });

  it("keeps them all when nothing is wrong", async () => {
    const results = await checkJoiningPlugin({ strict: true, onReady: joins({}, place), ruleTimeoutMs: 20_000 });
    expect(results.filter(({ status }) => status !== "ok")).toEqual([]);
  });

  it.concurrent.each(Object.entries(joinBreakages))("fails %s, and no other rule", async (id, twist) => {
    const onReady = joins(twist, place);
    const ruleTimeoutMs = id === "join.handshake" || id === "join.register" ? 4_000 : 20_000;
    const results = await checkJoiningPlugin({ strict: true, only: [id], onReady, ruleTimeoutMs });
    expect(results.filter(({ status }) => status !== "ok").map((result) => result.id)).toEqual([id]);
    expect(failedOf(results)).toEqual([id]);
  });
});

describe("the command", () => {
  it.each([
    { args: [], says: "--endpoint or --join is needed, and not both" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--join"], says: "--endpoint or --join is needed, and not both" },
    { args: ["--join", "--join-port", "99999"], says: "--join-port must be a port" },
  ])("called with $args says what is wrong, and ends with 2", async ({ args, says }) => {
    const { code, errors } = await callKit(pluginCommand, args);
    expect(code).toBe(2);
    expect(errors).toContain(says);
  });
});
