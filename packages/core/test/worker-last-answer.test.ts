import { definePlugin, launchPlugin, workerStrategy } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { fixture } from "./fixtures/launch-fixture.ts";
import { turn } from "./fixtures/worker-pair.ts";
import { EchoService } from "./support/echo-service.ts";

const plugins = { echo: definePlugin({ name: "echo", version: "1.0.0", service: EchoService }) };

describe("a thread that has answered and ended while its host was busy", { timeout: 60_000 }, () => {
  it("has answered all the same", async () => {
    const strategy = workerStrategy({ entry: fixture("worker-answers-and-exits.ts") });
    const plugin = await launchPlugin({ strategy, plugins, readyTimeoutMs: 30_000 });
    const echo = await plugin.dispense("echo");
    const answer = echo.unary({ text: "last" });
    answer.catch(() => {});
    await turn(); // the call is on its way
    // Nothing of the thread is heard of meanwhile: neither its answer, nor its end.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    expect((await answer).text).toBe("last");
    expect(await plugin.exited).toMatchObject({ code: 0, how: "exited" });
  });
});
