import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const demo = fileURLToPath(new URL("../src/demo.ts", import.meta.url));

it("the demo shows what it says, and ends by itself with all it started", { timeout: 120_000 }, async () => {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", demo]);
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  child.stderr.on("data", (chunk) => {
    errors += String(chunk);
  });
  const [code] = await once(child, "close");
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  for (const line of [
    /you +\w{7} resolves to https:\/\/connectrpc\.com/,
    /GET \/r\/\w{7}: 302, to https:\/\/connectrpc\.com/,
    /GET \/r\/nothing: 404/,
    /host +call api -> storage \/urlshortener\.v1\.StorageService\/Save ok/,
    /host +call storage -> logger \/capability\.logger\.v1\.Logger\/Log ok/,
    /p2 -->\|"storage"\| p1/,
    /host +health logger died/,
    /host +storage is degraded: nobody logs/,
    /you +\w{7} was made without a logger/,
    /5\. The logger is back[\s\S]*host +storage is available/,
  ]) {
    expect(output).toMatch(line);
  }
});
