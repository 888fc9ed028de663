import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "cpg-bench-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; stdout: string; stderr: string }>();
  const command = ["--disable-warning=ExperimentalWarning", main, ...args];
  const child = execFile(process.execPath, command, { timeout: 60_000 }, (_, stdout, stderr) =>
    resolve({ code: child.exitCode ?? -1, stdout, stderr }),
  );
  return promise;
}

describe("the command", () => {
  it("prints Markdown, with what it ran on", async () => {
    const { code, stdout, stderr } = await bench("interceptors", "--short", "--seed", "5");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`Node ${process.versions.node}`);
    expect(stdout).toMatch(/cockatiel \d+\.\d+\.\d+/);
    expect(stdout).toContain("3 rounds, seed 5.");
    expect(stdout).toContain("| cockatiel: wrap(retry, breaker) |");
    expect(stdout).not.toContain("## launch");
  });

  it("writes JSON and Markdown to the files that are named", async () => {
    const json = join(directory, "report.json");
    const markdown = join(directory, "report.md");
    const { code, stdout } = await bench(
      "interceptors",
      "--short",
      "--rounds",
      "2",
      "--json",
      json,
      "--markdown",
      markdown,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(readFileSync(markdown, "utf8")).toContain("## interceptors");
    const report = JSON.parse(readFileSync(json, "utf8"));
    expect(report).toMatchObject({ rounds: 2, short: true, tables: [{ name: "interceptors" }] });
    for (const { samples } of report.tables[0].measures[0].rows) expect(samples).toHaveLength(2);
  });

  it("refuses what it does not know, and says how it is used", async () => {
    const { code, stderr } = await bench("lunch");
    expect(code).toBe(2);
    expect(stderr).toContain('there is no table "lunch"');
    expect(stderr).toContain("usage: pnpm bench");
  });
});
