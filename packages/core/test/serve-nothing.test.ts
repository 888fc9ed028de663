import { serve } from "@cpg/core";
import { describe, expect, it } from "vitest";

const quiet = { listen: { port: 0 }, handleSignals: false, environment: {} } as const;

describe("a server without plugins", () => {
  it("is a host, with extensions", async () => {
    await using host = await serve({
      plugins: {},
      impls: {},
      extensions: [{ name: "none", install: () => ({}) }],
      ...quiet,
    });
    expect((await fetch(`${host.endpoint}/readyz`)).status).toBe(200);
    expect(host.link).toBeUndefined();
  });

  it("is a plugin that only uses others, with a name, and joins its host", async () => {
    await using host = await serve({
      plugins: {},
      impls: {},
      extensions: [{ name: "none", install: () => ({}) }],
      ...quiet,
    });
    await using user = await serve({
      plugins: {},
      impls: {},
      selfId: "user",
      link: { hostUrl: host.endpoint },
      ...quiet,
    });
    expect((await user.link?.whenLinked({ timeoutMs: 20_000 }))?.runtimeId).toMatch(/^user-/);
  });

  it("is refused otherwise", async () => {
    await expect(serve({ plugins: {}, impls: {}, ...quiet })).rejects.toThrow("at least one plugin");
  });
});
