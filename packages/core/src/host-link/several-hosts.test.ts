import { Code, ConnectError } from "@connectrpc/connect";
import { FakeClock, seededRandom } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { FakeDiscovery } from "../../test/support/fake-discovery.ts";
import { FakeHost, type FakeHostOptions } from "../../test/support/fake-host.ts";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { createHealthReporter } from "../health/health-reporter.ts";
import type { HostEndpoints } from "./host-choice.ts";
import { createHostLink, type LinkIdentity } from "./host-link.ts";

const logger = definePlugin({
  name: "logger",
  version: "1.0.0",
  service: Logger,
  provides: [{ type: "logger", version: "1.0.0" }],
});
const a = "http://a.test:8080";
const b = "http://b.test:8080";

/** A link to two fake hosts, in standing time. Fails the test in which it leaves a timer behind. */
function startLink(hostUrl: HostEndpoints = [a, b], options: FakeHostOptions = {}) {
  const hosts = { [a]: new FakeHost(options), [b]: new FakeHost(options) };
  const clock = new FakeClock();
  const identities: (LinkIdentity | undefined)[] = [];
  const states: string[] = [];
  let look = () => {};
  const link = createHostLink({
    hostUrl,
    selfId: "p",
    selfVersion: "1",
    plugins: { logger },
    baseUrl: () => "http://plugin.test:1",
    health: createHealthReporter({ plugins: ["logger"] }),
    clock,
    random: seededRandom(7),
    connect: (url, version) => hosts[url as typeof a].connect(url, version),
    onEvent(event) {
      if (event.type === "state") states.push(event.state);
      look();
    },
  });
  link.onIdentityChange((identity) => identities.push(identity));
  const reach = (state: string): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (link.state === state) resolve();
      };
      look();
    });
  return {
    a: hosts[a],
    b: hosts[b],
    clock,
    link,
    states,
    identities,
    reach,
    async linked() {
      link.start();
      await reach("linked");
    },
    async [Symbol.asyncDispose]() {
      const closing = link.close();
      await clock.advance(60_000);
      await closing;
      expect(clock.pending).toBe(0);
    },
  };
}

describe("a link with several hosts", () => {
  it("is linked to the first, and the others hear nothing", async () => {
    await using t = startLink();
    expect(t.link.hostUrl).toBe(a);
    await t.linked();
    expect(t.link.identity).toEqual({ runtimeId: "p-1", hostUrl: a });
    await t.clock.advance(60_000);
    expect(t.b.calls).toEqual([]);
  });

  it("is linked to the next at once when the first is away", async () => {
    await using t = startLink();
    t.a.down = true;
    await t.linked();
    expect(t.link.identity?.hostUrl).toBe(b);
    expect(t.link.hostUrl).toBe(b);
    expect(t.states).toEqual(["connecting", "registering", "linked"]);
    expect(t.b.registrations).toHaveLength(1);
  });

  it("goes to the next when it loses its host, under an identity of that one", async () => {
    await using t = startLink();
    await t.linked();
    t.a.down = true;
    await t.clock.advance(12_000);
    expect(t.states.slice(3)).toEqual(["backoff", "resuming", "connecting", "registering", "linked"]);
    expect(t.link.identity).toEqual({ runtimeId: "p-1", hostUrl: b });
    expect(t.identities.map((identity) => identity?.hostUrl)).toEqual([a, undefined, b]);
    expect(t.b.registrations).toHaveLength(1);
  });

  it("stays with its host, and its identity, through a break that the host survives", async () => {
    await using t = startLink();
    await t.linked();
    t.a.before = (method) => {
      t.a.before = () => {};
      if (method === "RenewIdentity") throw new ConnectError("connection reset", Code.Unavailable);
    };
    await t.clock.advance(12_000);
    expect(t.states.slice(3)).toEqual(["backoff", "resuming", "linked"]);
    expect(t.identities).toEqual([{ runtimeId: "p-1", hostUrl: a }]);
    expect(t.b.calls).toEqual([]);
  });

  it("stays with the next when the first is back", async () => {
    await using t = startLink();
    await t.linked();
    t.a.down = true;
    await t.clock.advance(12_000);
    t.a.down = false;
    await t.clock.advance(60_000);
    expect(t.link.identity?.hostUrl).toBe(b);
    expect(t.states.at(-1)).toBe("linked");
  });

  it("takes back what it registered at a host that it left, if that can be reached", async () => {
    await using t = startLink();
    await t.linked();
    t.a.before = (method) => {
      if (method === "RenewIdentity") throw new ConnectError("overloaded", Code.Unavailable);
    };
    await t.clock.advance(12_000);
    expect(t.link.identity?.hostUrl).toBe(b);
    expect(t.a.registrations).toEqual([]);
    expect(t.a.identities).toEqual([]);
  });

  it("leaves a host that dies between handshake and registration", async () => {
    await using t = startLink();
    t.a.before = (method) => {
      if (method === "RegisterService") t.a.down = true;
    };
    t.link.start();
    await t.clock.advance(1_000);
    expect(t.link.identity?.hostUrl).toBe(b);
    expect(t.states).toEqual(["connecting", "registering", "backoff", "connecting", "registering", "linked"]);
  });

  it("shakes hands with a host that is not ours again before it goes to the next", async () => {
    await using t = startLink([a, b], { ours: false });
    await t.linked();
    t.a.down = true;
    await t.clock.advance(12_000);
    expect(t.link.identity?.hostUrl).toBe(b);
  });

  it("goes to the next when one refuses it", async () => {
    await using t = startLink();
    t.a.before = () => {
      throw new ConnectError("not admitted", Code.PermissionDenied);
    };
    await t.linked();
    expect(t.link.identity?.hostUrl).toBe(b);
  });

  it("tries all again with growing delays while all are away, and tells of each", async () => {
    await using t = startLink();
    t.a.down = true;
    t.b.down = true;
    t.link.start();
    await t.clock.advance(30_000);
    const waiting = t.link.whenLinked({ timeoutMs: 60_000 });
    expect(t.states.filter((state) => state === "connecting").length).toBeLessThan(15);
    t.b.down = false;
    await t.clock.advance(10_000);
    expect((await waiting).hostUrl).toBe(b);
  });

  it("replaces an identity that expires at the host that gave it", async () => {
    await using t = startLink([a, b], { ours: false, ttlMs: 20_000 });
    await t.linked();
    await t.clock.advance(17_000);
    expect(t.states.slice(3)).toEqual(["refreshing", "linked"]);
    expect(t.identities.map((identity) => identity?.hostUrl)).toEqual([a, a]);
    expect(t.b.calls).toEqual([]);
  });

  it("stays with its host when that has no new identity to give at the moment", async () => {
    await using t = startLink([a, b], { ours: false, ttlMs: 20_000 });
    await t.linked();
    t.a.before = (method) => {
      if (method === "Handshake") throw new ConnectError("too many", Code.ResourceExhausted);
    };
    await t.clock.advance(17_000);
    expect(t.states.slice(3)).toEqual(["refreshing", "linked"]);
    expect(t.link.identity).toEqual({ runtimeId: "p-1", hostUrl: a });
    expect(t.b.calls).toEqual([]);
  });

  it("asks a discovery each time that it looks for a host", async () => {
    const discovery = new FakeDiscovery([a]);
    await using t = startLink(discovery);
    expect(t.link.hostUrl).toBeUndefined();
    await t.linked();
    expect(t.link.identity?.hostUrl).toBe(a);
    discovery.set([b]);
    t.a.down = true;
    await t.clock.advance(12_000);
    expect(t.link.identity?.hostUrl).toBe(b);
  });

  it("goes on with what it knew while discovery fails", async () => {
    const discovery = new FakeDiscovery([a, b]);
    await using t = startLink(discovery);
    await t.linked();
    discovery.fail(new Error("no answer"));
    t.a.down = true;
    await t.clock.advance(12_000);
    expect(t.link.identity?.hostUrl).toBe(b);
  });
});
