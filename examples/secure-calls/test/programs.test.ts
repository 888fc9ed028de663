import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("the demo checks what it says, and ends by itself", { timeout: 60_000 }, async () => {
  const demo = spawn(process.execPath, [fileURLToPath(new URL("../src/demo.ts", import.meta.url))]);
  let output = "";
  let errors = "";
  demo.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  demo.stderr.on("data", (chunk) => {
    errors += String(chunk);
  });
  const [code] = await once(demo, "close");
  expect(errors).toBe("");
  expect(code).toBe(0);
  const lines = output.match(/✓ .*/g) ?? [];
  expect(lines).toEqual([
    expect.stringMatching(/let in +the plugin knows shop\.example by its certificate, "shop 1"/),
    expect.stringMatching(/refused +thief\.example, .*permission_denied, and no retry/),
    expect.stringMatching(/refused +somebody without a certificate/),
    expect.stringMatching(/rotated +\d+ calls meanwhile, none failed or was retried/),
    expect.stringMatching(/survived +the plugin was killed: .* \([1-9]\d* retries\)/),
  ]);
});
