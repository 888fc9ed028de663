import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createCapabilitySet } from "./capability-set.ts";
import { defineHttpCapability } from "./define-http-capability.ts";

function capability(type: string, version: string) {
  return defineHttpCapability((_, response) => void response.end(), { type, version });
}

const set = createCapabilitySet(
  ["9.0.0", "10.0.0", "1.2.0", "11.0.0-beta.2", "11.0.0-beta.10"].map((version) => capability("kv", version)),
);

describe("createCapabilitySet", () => {
  it.each([
    { min: "", granted: "11.0.0-beta.10" },
    { min: "1.0.0", granted: "11.0.0-beta.10" },
    { min: "9.0.0", granted: "11.0.0-beta.10" },
    { min: "11.0.0-alpha", granted: "11.0.0-beta.10" },
    { min: "11.0.0-beta.10", granted: "11.0.0-beta.10" },
  ])("gives the newest version for at least '$min', prereleases among them", ({ min, granted }) => {
    expect(set.newest("kv", min).version).toBe(granted);
  });

  it.each([
    { type: "kv", min: "11.0.0", says: "11.0.0-beta.10 at most" },
    { type: "kv", min: "11.0.0-beta.11", says: "11.0.0-beta.10 at most" },
    { type: "other", min: "", says: "no capability other" },
    { type: "constructor", min: "", says: "no capability constructor" },
  ])("has no $type from '$min' on", ({ type, min, says }) => {
    expect(() => set.newest(type, min)).toThrow(
      expect.objectContaining({ code: Code.NotFound, rawMessage: expect.stringContaining(says) }),
    );
  });

  it("compares versions as numbers: 10 is newer than 9", () => {
    const two = createCapabilitySet([capability("kv", "10.0.0"), capability("kv", "9.0.0")]);
    expect(two.newest("kv", "9.5.0").version).toBe("10.0.0");
    expect(two.all.map(({ version }) => version)).toEqual(["10.0.0", "9.0.0"]);
  });

  it("refuses a version twice, and what is no capability", () => {
    expect(() => createCapabilitySet([capability("kv", "1.0.0"), capability("kv", "1.0.0")])).toThrow(
      "capabilities[1] must not be kv 1.0.0 a second time",
    );
    const nothing = JSON.parse("{}");
    expect(() => createCapabilitySet([nothing])).toThrow("capabilities[0] must be made by defineCapability");
  });
});
