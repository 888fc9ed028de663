import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { createBroker, hostLogger } from "@cpg/broker";
import { type PluginServer, serve } from "@cpg/core";
import { createRegistry } from "@cpg/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostCommand } from "../src/kit/command/host-command.ts";
import { checkHost } from "../src/kit/host/check-host.ts";
import { hostRules } from "../src/kit/host/host-rules.ts";
import type { RuleResult } from "../src/kit/rule/run-rules.ts";
import { type Breakage, startBrokenServer } from "./kit/broken-server.ts";
import { hostBreakages } from "./kit/host-breakages.ts";
import { callKit, runKit } from "./kit/run-kit.ts";

let host: PluginServer;
beforeAll(async () => {
  const write = (): void => {};
  const broker = createBroker({
    capabilities: [hostLogger({ debug: write, info: write, warn: write, error: write })],
    limits: { maxGrantsPerIdentity: 1_000 },
  });
  host = await serve({
    plugins: {},
    impls: {},
    extensions: [createRegistry({ health: { graceMs: 0, intervalMs: 100 } }), broker],
    listen: { port: 0 },
    // All that is checked comes from one address, and under few names.
    handshakeRate: { perSecond: 10_000, perSecondPerName: 10_000, burst: 10_000, burstPerName: 10_000 },
    environment: {},
    handleSignals: false,
  });
});
afterAll(() => host.close());

function breakageOf(id: string): Breakage {
  const breakage = hostBreakages[id];
  if (breakage === undefined) throw new Error(`nothing breaks ${id}`);
  return breakage;
}

const failedOf = (results: readonly RuleResult[]) => results.filter(({ status }) => status === "FAILED");

describe("a host of ours", () => {
  it("keeps every rule, as the command tells", async () => {
    const { code, output } = await runKit("host.ts", ["--endpoint", host.endpoint, "--strict"]);
    const lines = output.trimEnd().split("\n");
    expect(lines.slice(0, -1).filter((line) => !line.startsWith("ok "))).toEqual([]);
    const count = hostRules.length;
    expect(lines.at(-1)).toBe(`${count} of ${count} rules ok, 0 failed, 0 skipped`);
    expect(code).toBe(0);
  });
});

describe("a broken host", () => {
  it("is there for every rule", () => {
    expect(Object.keys(hostBreakages).toSorted()).toEqual(hostRules.map(({ id }) => id).toSorted());
  });

  it.concurrent.each(Object.entries(hostBreakages))("fails %s, and no other rule", async (id, breakage) => {
    await using broken = await startBrokenServer(host.endpoint, breakage);
    const results = await checkHost({ endpoint: broken.url, strict: true, only: [id], ruleTimeoutMs: 20_000 });
    expect(failedOf(results)).toEqual([expect.objectContaining({ id })]);
    // What it needs was looked at, and held.
    expect(results.filter(({ status }) => status !== "ok").map((result) => result.id)).toEqual([id]);
  });
});

describe("the README", () => {
  it("shows what the command prints", async () => {
    await using broken = await startBrokenServer(host.endpoint, breakageOf("discover.semver"));
    const rules = ["--rule", "discover.unknown", "--rule", "discover.semver"];
    const { code, output } = await callKit(hostCommand, ["--endpoint", broken.url, "--strict", ...rules]);
    expect(code).toBe(1);
    const page = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const [, shown] = /<!-- kit sample: .* -->\n\n```\n([^`]*)```/.exec(page) ?? [];
    expect(shown).toBe(output);
  });
});

describe("the command", () => {
  it.each([
    { args: [], says: "--endpoint is required" },
    { args: ["--endpoint", "nonsense"], says: "--endpoint must be http" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--rule", "nothing"], says: "--rule nothing names no rule" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--timeout", "soon"], says: "--timeout must be" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--ca", "/no/such/file"], says: "--ca cannot be read" },
    { args: ["--enpoint", "x"], says: "'--enpoint'" },
  ])("called with $args says what is wrong, and ends with 2", async ({ args, says }) => {
    const { code, errors, output } = await callKit(hostCommand, args);
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toContain(says);
    expect(errors).toContain("Exit code:");
  });

  it("gives up a host that takes connections and says nothing, and tells so as JSON", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    try {
      const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      const { code, output } = await callKit(hostCommand, ["--endpoint", endpoint, "--timeout", "0.5", "--json"]);
      expect(code).toBe(1);
      const { counts, results } = JSON.parse(output);
      expect(counts).toEqual({ ok: 0, FAILED: 1, skipped: hostRules.length - 1 });
      expect(results[0]).toEqual({
        id: "http.answers",
        section: "Services",
        status: "FAILED",
        expected: "any request over HTTP/1.1 is answered, with whatever status",
        found: "no answer within 500 ms",
      });
    } finally {
      silent.close();
    }
  });

  it("shows its flags with --help, and its rules with --list", async () => {
    expect(await callKit(hostCommand, ["--help"])).toMatchObject({
      code: 0,
      output: expect.stringContaining("--rule ID"),
    });
    const { code, output } = await callKit(hostCommand, ["--list"]);
    expect([code, output.trimEnd().split("\n").length]).toEqual([0, hostRules.length]);
  });
});
