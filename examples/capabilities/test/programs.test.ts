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
    expect.stringMatching(/secrets +greeter read its own; stranger has none/),
    expect.stringMatching(/log +.*on one line, with its id/),
    expect.stringMatching(/store +each plugin has its own/),
    expect.stringMatching(/revoked +the open watch ended with permission_denied/),
    expect.stringMatching(/asked again +another grant/),
    expect.stringMatching(/ended +.*no grant is left/),
    expect.stringMatching(/audit +.*no token among them/),
  ]);
});
