import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  askedVersions,
  byPreference,
  checkAppProtocolVersions,
  describeMismatch,
  negotiate,
} from "./version-negotiation.ts";

const versions = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 });

describe("negotiate", () => {
  it.each([
    { server: [1], client: [1], version: 1 },
    { server: [1, 2, 3], client: [2, 3, 4], version: 3 },
    { server: [3, 1], client: [1, 3], version: 3 },
    { server: [3, 4], client: [1, 2], version: undefined },
    { server: [1], client: [], version: undefined },
  ])("$server and $client -> $version", ({ server, client, version }) => {
    expect(negotiate(server, client)).toBe(version);
  });

  it("is symmetric, takes a common version and leaves none that is higher", () => {
    fc.assert(
      fc.property(versions, versions, (server, client) => {
        const version = negotiate(server, client);
        const common = server.filter((each) => client.includes(each));
        expect(negotiate(client, server)).toBe(version);
        expect(version).toBe(byPreference(common)[0]);
        expect(common.every((each) => each <= (version ?? 0))).toBe(true);
      }),
    );
  });
});

describe("askedVersions", () => {
  it.each([
    { appProtocolVersion: 2, appProtocolVersions: [], asked: [2] },
    { appProtocolVersion: 0, appProtocolVersions: [], asked: [0] },
    { appProtocolVersion: 2, appProtocolVersions: [1, 3], asked: [1, 3] },
  ])("$appProtocolVersion, $appProtocolVersions -> $asked", ({ asked, ...request }) => {
    expect(askedVersions(request)).toEqual(asked);
  });
});

describe("describeMismatch", () => {
  it("names both sets and the remedy", () => {
    expect(describeMismatch([4, 3], [1, 2])).toBe(
      "the server speaks app protocol version 3, 4; the client asks for 1, 2: " +
        "upgrade the client, or let the server support version 2",
    );
    expect(describeMismatch([1], [2])).toBe(
      "the server speaks app protocol version 1; the client asks for 2: " +
        "upgrade the server, or let the client support version 1",
    );
  });

  it("stays short, however many versions there are", () => {
    const many = Array.from({ length: 100 }, (_, index) => index + 1_000_000);
    expect(describeMismatch([1], many).length).toBeLessThan(300);
    expect(describeMismatch([1], many)).toMatch(/and 90 older ones/);
  });
});

describe("checkAppProtocolVersions", () => {
  it.each([[[]], [[0]], [[-1]], [[1.5]], [[2 ** 31]], [[Number.NaN]], [Array.from({ length: 101 }, (_, i) => i + 1)]])(
    "refuses %o, naming the option",
    (bad) => {
      expect(() => checkAppProtocolVersions("appProtocolVersions", bad)).toThrow(/appProtocolVersions/);
    },
  );

  it("takes what the wire can carry", () => {
    expect(() => checkAppProtocolVersions("x", [1, 2 ** 31 - 1])).not.toThrow();
  });
});
