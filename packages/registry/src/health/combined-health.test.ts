import { describe, expect, it } from "vitest";
import { combinedHealth, type HealthFacts } from "./combined-health.ts";
import { neverEjected } from "./ejection.ts";
import type { HealthReport } from "./health-monitor.ts";
import { presumedAlive } from "./liveness.ts";
import type { HealthLevel, ProviderHealth } from "./provider-health.ts";

const says = (level: HealthLevel, reason = "", ...unavailableDependencies: string[]): HealthReport => ({
  level,
  reason,
  unavailableDependencies,
});
const ejection = { kind: "out", times: 1, untilMs: 5 } as const;
const refused = { kind: "dead", proof: "refused" } as const;

describe("health of a provider", () => {
  it.each<{
    readonly facts: Partial<HealthFacts>;
    readonly level: HealthLevel;
    readonly source: ProviderHealth["source"];
  }>([
    { facts: {}, level: "healthy", source: "assumed" },
    { facts: { report: says("healthy") }, level: "healthy", source: "report" },
    { facts: { opinion: says("healthy") }, level: "healthy", source: "probe" },
    { facts: { report: says("degraded"), opinion: says("healthy") }, level: "degraded", source: "report" },
    { facts: { report: says("healthy"), opinion: says("degraded") }, level: "degraded", source: "probe" },
    { facts: { report: says("degraded"), opinion: says("degraded") }, level: "degraded", source: "report" },
    { facts: { report: says("degraded"), opinion: says("unhealthy") }, level: "unhealthy", source: "probe" },
    { facts: { report: says("unhealthy") }, level: "unhealthy", source: "report" },
    { facts: { ejection }, level: "unhealthy", source: "ejection" },
    { facts: { ejection, report: says("degraded") }, level: "unhealthy", source: "ejection" },
    { facts: { ejection, report: says("unhealthy") }, level: "unhealthy", source: "report" },
    { facts: { ejection, liveness: refused }, level: "unhealthy", source: "liveness" },
    { facts: { liveness: refused, report: says("healthy") }, level: "unhealthy", source: "liveness" },
    { facts: { liveness: { kind: "silent", hidden: true } }, level: "unhealthy", source: "liveness" },
    { facts: { liveness: { kind: "silent", hidden: false } }, level: "healthy", source: "assumed" },
    {
      facts: { liveness: { kind: "silent", hidden: false }, report: says("degraded") },
      level: "degraded",
      source: "report",
    },
  ])("is $level by $source when $facts", ({ facts, level, source }) => {
    const all = { report: undefined, opinion: undefined, liveness: presumedAlive, ejection: neverEjected, ...facts };
    expect(combinedHealth(all)).toMatchObject({ level, source });
  });

  it("has the reason and the missing services of who says so", () => {
    const report = says("degraded", "no logger", "logger");
    const opinion = says("unhealthy", "no disk", "storage");
    const facts = { report, opinion, liveness: presumedAlive, ejection: neverEjected };
    expect(combinedHealth(facts)).toEqual({ ...opinion, source: "probe" });
    expect(combinedHealth({ ...facts, opinion: undefined })).toEqual({ ...report, source: "report" });
    expect(combinedHealth({ ...facts, liveness: refused })).toEqual({
      level: "unhealthy",
      source: "liveness",
      reason: "refuses connections",
      unavailableDependencies: [],
    });
  });
});
