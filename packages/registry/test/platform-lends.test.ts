import { Code } from "@connectrpc/connect";
import type { HostExtension } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { errorOf, relayInMemory, startPlatform } from "./support/platform-plugins.ts";

/** Lends a logger, as a broker does. */
const lender: HostExtension = {
  name: "lender",
  install: (host) => ({
    handshakeFacts: () => ({
      capabilities: [{ type: "logger", version: "1.0.0", endpoint: `${host.publicUrl()}/lent` }],
    }),
  }),
};

describe("what the host of a platform lends", { timeout: 30_000 }, () => {
  it("meets what plugins require, and is seen in the graph as the host's", async () => {
    await using scene = await startPlatform({
      extensions: [lender],
      plugins: [relayInMemory("a", { requires: ["logger"] }), relayInMemory("b", { requires: ["logger@2.0.0"] })],
    });
    expect(scene.states()).toEqual(["a running", "b failed"]);
    expect(scene.platform.bootReport[1]?.error?.rawMessage).toMatch(
      /b needs logger 2\.0\.0 or newer; @host has 1\.0\.0/,
    );
    const { graph, guests } = scene.platform.state();
    expect(graph.edges).toMatchObject([{ consumer: "a", type: "logger", providers: ["@host"] }]);
    expect(graph.layers).toEqual([["a", "b"]]);
    expect(guests).toEqual([]);
    expect(scene.platform.registry.graph().toMermaid()).toMatch(/host.*\n.*"logger"/);
    expect(await errorOf(scene.platform.remove("@host"))).toMatchObject({ code: Code.NotFound });
  });

  it("does not stand in for a plugin that provides the same type", async () => {
    const failing = relayInMemory("logger", {
      onStart() {
        throw new Error("no disk");
      },
    });
    await using scene = await startPlatform({
      extensions: [lender],
      plugins: [relayInMemory("a", { requires: ["logger"] }), failing],
    });
    expect(scene.states()).toEqual(["a failed", "logger failed"]);
    await scene.platform.remove("logger");
    await scene.platform.restart("a");
    expect(scene.states()).toEqual(["a running"]);
  });
});
