import { createBroker, hostLogger } from "@cpg/broker";
import { type PluginServer, serve } from "@cpg/core";
import { createRegistry } from "@cpg/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkHost } from "../src/kit/host/check-host.ts";
import { hostRules } from "../src/kit/host/host-rules.ts";
import type { RuleResult } from "../src/kit/rule/run-rules.ts";
import { startBrokenServer } from "./kit/broken-server.ts";
import { hostBreakages } from "./kit/host-breakages.ts";
import { runKit } from "./kit/run-kit.ts";

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

/** What is broken there is that something does not come. */
const seenByTime = new Set(["watch.death", "watch.last-state"]);

const failedOf = (results: readonly RuleResult[]) => results.filter(({ status }) => status === "FAIL");

describe("a host of ours", () => {
  it("keeps every rule, as the command tells", async () => {
    const { code, output } = await runKit("host.ts", ["--endpoint", host.endpoint, "--strict"]);
    const lines = output.trimEnd().split("\n");
    expect(lines.slice(0, -1).filter((line) => !line.startsWith("PASS "))).toEqual([]);
    const count = hostRules.length;
    expect(lines.at(-1)).toBe(`${count} of ${count} rules passed, 0 failed, 0 skipped, 0 not served`);
    expect(code).toBe(0);
  });
});

describe("a broken host", () => {
  it("is there for every rule", () => {
    expect(Object.keys(hostBreakages).toSorted()).toEqual(hostRules.map(({ id }) => id).toSorted());
  });

  it.concurrent.each(Object.entries(hostBreakages))("fails %s, and no other rule", async (id, breakage) => {
    await using broken = await startBrokenServer(host.endpoint, breakage);
    const ruleTimeoutMs = seenByTime.has(id) ? 4_000 : 20_000;
    const results = await checkHost({ endpoint: broken.url, strict: true, only: [id], ruleTimeoutMs });
    expect(failedOf(results)).toEqual([expect.objectContaining({ id })]);
    // What it needs was looked at, and held.
    expect(results.filter(({ status }) => status !== "PASS").map((result) => result.id)).toEqual([id]);
  });
});

describe("the command", () => {
  it.each([
    { args: [], says: "--endpoint is required" },
    { args: ["--endpoint", "nonsense"], says: "an endpoint must be http" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--rule", "nothing"], says: "there is no rule nothing" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--timeout", "soon"], says: "--timeout must be" },
    { args: ["--endpoint", "http://127.0.0.1:1", "--ca", "/no/such/file"], says: "--ca /no/such/file cannot be read" },
    { args: ["--enpoint", "x"], says: "'--enpoint'" },
  ])("called with $args says what is wrong, and ends with 2", async ({ args, says }) => {
    const { code, errors, output } = await runKit("host.ts", args);
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toContain(says);
    expect(errors).toContain("Exit code:");
  });

  it("ends in time with a host that does not answer, and with nobody there", async () => {
    const args = ["--endpoint", "http://127.0.0.1:1", "--rule", "handshake", "--timeout", "5", "--json"];
    const { code, output } = await runKit("host.ts", args);
    expect(code).toBe(1);
    const { results }: { results: RuleResult[] } = JSON.parse(output);
    expect(results[0]).toMatchObject({ id: "handshake.versions", status: "FAIL" });
    expect(results.slice(1).every(({ status }) => status === "SKIP")).toBe(true);
  });
});
