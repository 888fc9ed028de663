import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("the demo checks what it says, and ends by itself", { timeout: 60_000 }, async () => {
  const demo = spawn(process.execPath, [fileURLToPath(new URL("../src/demo.ts", import.meta.url))], {
    env: { ...process.env, NODE_OPTIONS: "--disable-warning=ExperimentalWarning" },
  });
  const [output, errors, [code]] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, "close")]);
  expect(errors).toBe("");
  expect(code).toBe(0);
  expect(output.match(/✓ .*/g)).toEqual([
    expect.stringMatching(/started +greeter runs/),
    expect.stringMatching(/lent +the visitor was greeted/),
    expect.stringMatching(/seen +the admin service/),
    expect.stringMatching(/replaced +\d+ calls meanwhile, none failed/),
    expect.stringMatching(/crashed +its process was killed/),
    expect.stringMatching(/needed +it is not removed/),
    expect.stringMatching(/ended +no process and no grant is left/),
  ]);
});
