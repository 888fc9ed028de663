import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const program = fileURLToPath(new URL("../src/demo.ts", import.meta.url));

it("the demo ends by itself, with all that it prints checked", { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [program], { env: { ...process.env, NO_COLOR: "1" } });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  expect(output).toBe(`
A plugin that hangs for a moment:

  ✓ healthy      put and get: one attempt each
  ✓ put          no answer within 500 ms; not tried again, for it may have run
  ✓ get          attempt 1: no answer within 500 ms; a later one was answered

A plugin that hangs for longer:

  ✓ get          all attempts together: no end within 1500 ms

A plugin that is gone:

  ✓ get          failures in a row, over several calls, opened the circuit
  ✓ 20 gets      rejected at once by the circuit breaker; waiting for it would outlast their deadline

A plugin that comes back:

  ✓ put          with more time: it waited for the circuit, which proves that it had not run, and went through
  ✓ get          the second success in a row closed the circuit

All of it was checked. The programs are in examples/resilient-calls/src.

`);
});
