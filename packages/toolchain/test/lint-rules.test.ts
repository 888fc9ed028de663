import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/run-command.ts";
import { repositoryRoot } from "../src/workspace-packages.ts";

interface Row {
  readonly path: string;
  readonly code: string;
  /** The rules that have to fire, and no others. */
  readonly rules: readonly string[];
}

const arrow = "lint/style/noRestrictedImports";
const property = "lint/nursery/noJsRestrictedProperties";
const global = "lint/style/noRestrictedGlobals";

/** Every arrow between our packages that may be drawn. */
const mayKnow: Readonly<Record<string, readonly string[]>> = {
  resilience: [],
  auth: ["resilience"],
  core: ["resilience"],
  broker: ["core", "resilience"],
  registry: ["core", "resilience"],
  codegen: [],
};
const arrows = Object.entries(mayKnow).flatMap(([from, allowed]) =>
  Object.keys(mayKnow).map((to): Row => {
    const isAllowed = from === to || allowed.includes(to);
    return { path: `packages/${from}/src/to-${to}.ts`, code: `import "@cpg/${to}";`, rules: isAllowed ? [] : [arrow] };
  }),
);

const core = "packages/core/src";
const rows: readonly Row[] = [
  ...arrows,
  { path: `${core}/subpath.ts`, code: 'import "@cpg/registry/testing";', rules: [arrow] },
  { path: `${core}/dynamic.ts`, code: 'await import("@cpg/registry");', rules: [arrow] },
  { path: `${core}/re-export.ts`, code: 'export { x } from "@cpg/registry";', rules: [arrow] },
  { path: `${core}/own-fakes.ts`, code: 'import "@cpg/resilience/testing";', rules: [] },
  { path: "examples/x/src/source.ts", code: 'import "@cpg/core/src/x.ts";', rules: ["plugin"] },
  { path: `${core}/sideways.ts`, code: 'import "../../resilience/src/clock.ts";', rules: ["plugin"] },
  { path: `${core}/zod.ts`, code: 'import "zod";', rules: ["plugin"] },
  { path: `${core}/zod-path.ts`, code: 'export { z } from "zod/v4";', rules: ["plugin"] },
  { path: `${core}/line-schema.ts`, code: 'import "zod";', rules: [] },
  { path: `${core}/date-now.ts`, code: "Date.now();", rules: [property] },
  { path: `${core}/destructured.ts`, code: "export const { now } = Date;", rules: [property] },
  { path: `${core}/new-date.ts`, code: "export const a = [new Date(), new Date(5)];", rules: ["plugin"] },
  { path: `${core}/random.ts`, code: "Math.random();", rules: [property] },
  { path: `${core}/signal.ts`, code: "AbortSignal.timeout(5);", rules: [property] },
  { path: `${core}/hrtime.ts`, code: "process.hrtime.bigint();", rules: [property] },
  { path: `${core}/set-timeout.ts`, code: "setTimeout(() => {}, 5);", rules: [global] },
  { path: `${core}/set-interval.ts`, code: "setInterval(() => {}, 5);", rules: [global] },
  { path: `${core}/global-this.ts`, code: "globalThis.setTimeout(() => {}, 5);", rules: [property] },
  { path: `${core}/now.ts`, code: "performance.now();", rules: [global] },
  { path: `${core}/timers.ts`, code: 'import "node:timers/promises";', rules: ["plugin"] },
  { path: "packages/core/test/sleep.test.ts", code: "setTimeout(() => {}, 5);", rules: [global] },
  { path: "packages/resilience/src/time.ts", code: "setTimeout(() => {}, Date.now() * Math.random());", rules: [] },
  { path: "packages/resilience/test/time.test.ts", code: "Date.now();", rules: [property] },
  { path: "packages/bench/src/time.ts", code: "performance.now();", rules: [] },
  { path: `${core}/star.ts`, code: 'export * from "./date-now.ts";', rules: ["lint/performance/noReExportAll"] },
  { path: `${core}/default.ts`, code: "export default 1;", rules: ["lint/style/noDefaultExport"] },
  { path: "packages/core/vitest.config.ts", code: "export default {};", rules: [] },
  { path: `${core}/extension.ts`, code: 'import "./date-now";', rules: ["lint/correctness/useImportExtensions"] },
  { path: `${core}/enum.ts`, code: "export enum A { B }", rules: ["lint/style/noEnum"] },
  { path: `${core}/CamelCase.ts`, code: "export const a = 1;", rules: ["lint/style/useFilenamingConvention"] },
  { path: `${core}/any.ts`, code: "export const a: any = 1;", rules: ["lint/suspicious/noExplicitAny"] },
  { path: `${core}/floating.ts`, code: "Promise.resolve(1);", rules: ["lint/nursery/noFloatingPromises"] },
  {
    path: `${core}/conditional.test.ts`,
    code: 'import { expect, it } from "vitest";\nit("x", () => {\n  if (process.pid > 1) expect(1).toBe(1);\n});',
    rules: ["lint/suspicious/noConditionalExpect"],
  },
  {
    path: `${core}/skip.test.ts`,
    code: 'import { it } from "vitest";\nit.skip("x", () => {});',
    rules: ["lint/suspicious/noSkippedTests"],
  },
];

const found = new Map<string, Set<string>>();
let directory = "";

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "cpg-lint-"));
  for (const path of ["biome.json", "packages/toolchain/lint"]) {
    cpSync(join(repositoryRoot, path), join(directory, path), { recursive: true });
  }
  const dependencies = Object.fromEntries(
    ["zod", "vitest", ...Object.keys(mayKnow).map((name) => `@cpg/${name}`)].map((name) => [name, "*"]),
  );
  writeFileSync(join(directory, "package.json"), JSON.stringify({ dependencies }));
  for (const { path, code } of rows) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), `${code}\n`);
  }
  const biome = join(repositoryRoot, "node_modules/.bin/biome");
  const args = ["lint", "--vcs-enabled=false", "--reporter=json", "--max-diagnostics=none", "."];
  const { stdout } = await runCommand(biome, args, { cwd: directory, timeoutMs: 60_000 });
  const report: { diagnostics: { category: string; location: { path: string } }[] } = JSON.parse(stdout);
  for (const { category, location } of report.diagnostics) {
    const rules = found.get(location.path) ?? new Set();
    found.set(location.path, rules.add(category));
  }
}, 60_000);

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("the lint rules of this repository", () => {
  it.each(rows)("$path, $code: $rules", ({ path, rules }) => {
    expect([...(found.get(path) ?? [])]).toEqual(rules);
  });
});
