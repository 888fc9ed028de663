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

  it("is refused otherwise, and told what it lacks", async () => {
    await expect(serve({ plugins: {}, impls: {}, ...quiet })).rejects.toThrow(
      "plugins must name at least one plugin; without any, a program that only uses others needs a selfId",
    );
  });
});

describe("what a program declares beside its plugins", () => {
  it("is told to its host, and not registered", async () => {
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
      declares: { provides: [{ type: "a", version: "1.0.0" }], requires: [{ type: "b" }] },
      link: { hostUrl: host.endpoint },
      ...quiet,
    });
    const { runtimeId = "" } = (await user.link?.whenLinked({ timeoutMs: 20_000 })) ?? {};
    expect(host.identities.get(runtimeId)?.declares).toMatchObject({
      provides: [{ type: "a", version: "1.0.0", path: "/" }],
      requires: [{ type: "b", minVersion: "" }],
    });
  });

  it("has to be right", async () => {
    const declares = { requires: [{ type: "no spaces" }] };
    await expect(serve({ plugins: {}, impls: {}, selfId: "user", declares, ...quiet })).rejects.toThrow(
      "declares.requires[0].type",
    );
  });
});
