import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { FakeClock, seededRandom } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeHost, type FakeHostOptions } from "../../test/support/fake-host.ts";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { HealthState } from "../gen/connectplugin/v1/health_pb.ts";
import { ServiceRegistry } from "../gen/connectplugin/v1/registry_pb.ts";
import { createHealthReporter } from "../health/health-reporter.ts";
import { connectionFailed } from "../wire/call-error.ts";
import { createHostLink, type HostLinkEvent, type HostLinkOptions, type LinkIdentity } from "./host-link.ts";
import { LinkError } from "./link-error.ts";
import type { LinkStateName } from "./link-state.ts";

const logger = definePlugin({
  name: "logger",
  version: "1.0.0",
  service: Logger,
  provides: [
    { type: "logger", version: "1.0.0" },
    { type: "audit", version: "2.0.0" },
  ],
});
const hostUrl = "http://host.test:8080";

/** A link to a fake host, in standing time. Fails the test in which it leaves a timer or a connection behind. */
function startLink(options: FakeHostOptions & { link?: Partial<HostLinkOptions>; managed?: boolean } = {}) {
  const host = new FakeHost(options);
  const clock = new FakeClock();
  const health = createHealthReporter({ plugins: ["logger"] });
  const events: HostLinkEvent[] = [];
  let look = () => {};
  host.after = () => look();
  const link = createHostLink({
    hostUrl: options.managed ? undefined : hostUrl,
    selfId: "p",
    selfVersion: "1",
    plugins: { logger },
    baseUrl: () => "http://plugin.test:1",
    health,
    clock,
    random: seededRandom(7),
    connect: host.connect,
    onEvent(event) {
      events.push(event);
      look();
    },
    ...options.link,
  });
  const states = (): string[] => events.flatMap((event) => (event.type === "state" ? [event.state] : []));
  /** Resolves when `condition` holds; looked at after each event of the link and each call at the host. */
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (condition()) resolve();
      };
      look();
    });
  return {
    host,
    clock,
    health,
    events,
    link,
    states,
    until,
    reach: (state: LinkStateName) => until(() => link.state === state),
    registered: () => host.registrations.map(({ type, runtimeId }) => `${type} ${runtimeId}`),
    async linked() {
      link.start();
      await until(() => link.state === "linked");
    },
    async [Symbol.asyncDispose]() {
      const closing = link.close();
      await clock.advance(60_000);
      await closing;
      expect(clock.pending).toBe(0);
    },
  };
}

describe("a self-registering plugin", () => {
  it("shakes hands, registers what it provides, reports its health, and is linked", async () => {
    await using t = startLink();
    expect(t.link.state).toBe("idle");
    t.link.start();
    expect(await t.link.whenLinked()).toEqual({ runtimeId: "p-1", hostUrl });
    expect(t.states()).toEqual(["connecting", "registering", "linked"]);
    expect(t.host.registrations).toMatchObject([
      { type: "logger", version: "1.0.0", path: "/capability.logger.v1.Logger/", baseUrl: "http://plugin.test:1" },
      { type: "audit", version: "2.0.0", runtimeId: "p-1" },
    ]);
    expect(t.host.reports).toEqual([{ runtimeId: "p-1", state: HealthState.HEALTHY, reason: "" }]);
    expect(t.link.identity).toEqual({ runtimeId: "p-1", hostUrl });
  });

  it.each([
    { what: "no registry", options: { registry: false } },
    { what: "no lifecycle", options: { lifecycle: false } },
    { what: "nothing but the handshake", options: { ours: false, registry: false, lifecycle: false } },
  ])("is linked to a host with $what", async ({ options }) => {
    await using t = startLink(options);
    await t.linked();
    await t.clock.advance(30_000);
    expect(t.states()).toEqual(["connecting", "registering", "linked"]);
  });

  it.each([{ managed: false }, { managed: true }])(
    "makes calls as soon as the host may send it some, while it registers (managed: $managed)",
    async ({ managed }) => {
      await using t = startLink({ managed });
      const answers: Promise<unknown>[] = [];
      t.host.before = (method) => {
        if (method !== "RegisterService" || answers.length > 0) return;
        // What it does to answer a call that the host sends it before it has the answer to its registration.
        expect(t.link.state).toBe("registering");
        expect(t.link.hostMetadata).not.toEqual({});
        answers.push(createClient(ServiceRegistry, t.link.transport).discoverService({ serviceType: "logger" }));
      };
      t.link.start();
      if (managed) t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
      await t.reach("linked");
      expect(answers.length).toBe(1);
      const [reason] = await Promise.all(answers).catch((error: unknown) => [error]);
      expect(ConnectError.from(reason).message).not.toContain("the link to the host is down");
    },
  );

  it("does not register before it is started, and starts once", async () => {
    await using t = startLink();
    await t.clock.advance(60_000);
    expect(t.host.calls).toEqual([]);
    t.link.start();
    t.link.start();
    await t.reach("linked");
    expect(t.host.count("Handshake")).toBe(1);
  });

  it("speaks HTTP/1.1 for the handshake and then what the host announced", async () => {
    const versions: string[] = [];
    const host = new FakeHost();
    const connect: HostLinkOptions["connect"] = (url, version) => {
      versions.push(version);
      return host.connect(url, version);
    };
    await using t = startLink({ link: { connect } });
    await t.linked();
    expect(versions).toEqual(["1.1", "2"]);
    expect(host.closedTransports).toEqual([`1.1 ${hostUrl}`]);
  });
});

describe("signs of life", () => {
  it("are renewals, in less than the heartbeat and more than four fifths of it", async () => {
    await using t = startLink({ link: { heartbeatMs: 1_000 } });
    await t.linked();
    await t.clock.advance(799);
    expect(t.host.count("RenewIdentity")).toBe(0);
    await t.clock.advance(201);
    expect(t.host.count("RenewIdentity")).toBe(1);
    await t.clock.advance(60_000);
    expect(t.host.count("RenewIdentity")).toBeGreaterThanOrEqual(60);
    expect(t.host.count("RenewIdentity")).toBeLessThanOrEqual(76);
  });

  it("come at half of a short time to live", async () => {
    await using t = startLink({ ttlMs: 2_000 });
    await t.linked();
    await t.clock.advance(1_000);
    expect(t.host.count("RenewIdentity")).toBe(1);
  });

  it("are health reports at another host", async () => {
    await using t = startLink({ ours: false });
    await t.linked();
    await t.clock.advance(10_000);
    expect(t.host.count("ReportHealth")).toBe(2);
  });
});

describe("a host that", () => {
  it("was restarted is asked for a new identity, and everything is registered again", async () => {
    await using t = startLink();
    await t.linked();
    t.host.restart();
    await t.clock.advance(10_000);
    expect(t.states()).toEqual(["connecting", "registering", "linked", "connecting", "registering", "linked"]);
    expect(t.link.identity?.runtimeId).not.toBe("p-1");
    expect(t.registered()).toEqual([`logger ${t.link.identity?.runtimeId}`, `audit ${t.link.identity?.runtimeId}`]);
  });

  it("is not ours and was restarted is noticed by the services it has forgotten", async () => {
    await using t = startLink({ ours: false });
    await t.linked();
    t.host.restart();
    await t.clock.advance(10_000);
    await t.reach("linked");
    expect(t.host.count("Handshake")).toBe(2);
    expect(t.registered()).toHaveLength(2);
  });

  it("died is missed at once, and has everything again within one delay of the backoff once it is back", async () => {
    await using t = startLink({
      link: { heartbeatMs: 10_000, backoff: { initialMs: 100, maxMs: 400, jitter: "none" } },
    });
    await t.linked();
    t.host.die();
    await t.reach("backoff"); // time stands still
    await t.clock.advance(100 + 200 + 399);
    expect(t.link.state).toBe("backoff");
    t.host.restart();
    await t.clock.advance(1);
    expect(t.link.state).toBe("linked");
    expect(t.registered()).toEqual([`logger ${t.link.identity?.runtimeId}`, `audit ${t.link.identity?.runtimeId}`]);
  });

  it("ends connections again and again is asked once a second", async () => {
    await using t = startLink();
    await t.linked();
    for (let round = 0; round < 50; round++) {
      t.host.breakConnections();
      await t.clock.advance(100);
    }
    expect(t.link.state).toBe("linked");
    expect(t.states()).toHaveLength(3);
    expect(t.host.count("RenewIdentity")).toBe(6); // at 0 s, 1 s … 5 s
  });

  it("is lost to a call is missed at once, too", async () => {
    const host = new FakeHost();
    let isThere = true;
    const connect: HostLinkOptions["connect"] = (url, version) => {
      const calls = host.connect(url, version);
      const reach = () => {
        if (!isThere) throw connectionFailed("host.test", "connect", "refused");
        return calls.transport;
      };
      return { ...calls, transport: { unary: (...call) => reach().unary(...call), stream: calls.transport.stream } };
    };
    await using t = startLink({ link: { connect } });
    await t.linked();
    isThere = false;
    await expect(createClient(Logger, t.link.transport).log({})).rejects.toMatchObject({ code: Code.Unavailable });
    await t.until(() => t.link.state === "backoff");
    isThere = true;
  });

  it("is away is tried again with growing delays within bounds, for ever", async () => {
    const delays: (number | undefined)[] = [];
    const clock = new FakeClock();
    const host = new FakeHost();
    host.down = true;
    await using t = startLink({
      link: {
        clock,
        connect: host.connect,
        backoff: { initialMs: 100, maxMs: 3_000, jitter: "equal" },
        onEvent(event) {
          if (event.type === "state" && event.state === "backoff") delays.push(clock.nextDueMs);
        },
      },
    });
    t.link.start();
    await clock.advance(30_000);
    const bounds = [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000];
    expect(delays.length).toBeGreaterThan(bounds.length);
    for (const [index, most] of bounds.entries()) {
      expect(delays[index]).toBeGreaterThanOrEqual(most / 2);
      expect(delays[index]).toBeLessThanOrEqual(most);
    }
    host.down = false;
    await clock.advance(3_000);
    expect(t.link.state).toBe("linked");
    await t.link.close();
    expect(clock.pending).toBe(0);
  });

  it("is away again after a good time is tried again as soon as the first time", async () => {
    const delays: (number | undefined)[] = [];
    const clock = new FakeClock();
    const host = new FakeHost();
    await using t = startLink({
      link: {
        clock,
        connect: host.connect,
        backoff: { initialMs: 100, maxMs: 10_000, jitter: "none" },
        onEvent(event) {
          if (event.type === "state" && event.state === "backoff") delays.push(clock.nextDueMs);
        },
      },
    });
    t.link.start();
    for (const round of [1, 2]) {
      await clock.advance(30_000);
      expect([round, t.link.state]).toEqual([round, "linked"]);
      host.down = true;
      await clock.advance(15_000);
      host.down = false;
    }
    expect(delays.slice(0, 3)).toEqual([100, 200, 400]);
    expect(delays.filter((ms) => ms === 100)).toHaveLength(2);
    await t.link.close();
  });

  it("was away for a moment is asked whether it still knows the plugin: same identity, nothing registered again", async () => {
    await using t = startLink();
    const heard: (LinkIdentity | undefined)[] = [];
    await t.linked();
    t.link.onIdentityChange((identity) => heard.push(identity));
    t.host.down = true;
    await t.clock.advance(10_000);
    expect(t.link.state).toBe("backoff");
    t.host.down = false;
    await t.clock.advance(10_000);
    expect(t.link.state).toBe("linked");
    expect(t.link.identity?.runtimeId).toBe("p-1");
    expect(t.host.count("RegisterService")).toBe(2);
    expect(heard).toEqual([]);
  });

  it("is not ours and was away gets a handshake; the old registrations go after the new ones are there", async () => {
    await using t = startLink({ ours: false });
    await t.linked();
    t.host.down = true;
    await t.clock.advance(10_000);
    t.host.down = false;
    await t.clock.advance(10_000);
    await t.until(() => t.host.registrations.length === 2);
    const ids = t.registered();
    expect(ids).toEqual([`logger ${t.link.identity?.runtimeId}`, `audit ${t.link.identity?.runtimeId}`]);
    expect(t.link.identity?.runtimeId).not.toBe("p-1");
    const methods = t.host.calls.map((call) => call.split(" ")[0]);
    expect(methods.lastIndexOf("RegisterService")).toBeLessThan(methods.indexOf("UnregisterService"));
  });

  it("never answers is given up after the bound of each attempt", async () => {
    await using t = startLink({ link: { attemptMs: 500 } });
    t.host.before = () => new Promise(() => {});
    t.link.start();
    await t.clock.advance(499);
    expect(t.link.state).toBe("connecting");
    await t.clock.advance(1);
    expect(t.link.state).toBe("backoff");
  });

  it("lets identities expire and cannot renew them is asked for the next one in time; no call is lost meanwhile", async () => {
    await using t = startLink({ ours: false, ttlMs: 100_000 });
    await t.linked();
    const heard: (string | undefined)[] = [];
    t.link.onIdentityChange((identity) => heard.push(identity?.runtimeId));
    await t.clock.advance(79_000);
    expect(t.host.count("Handshake")).toBe(1);
    const counts: number[] = [];
    t.host.before = (method) => {
      if (method === "UnregisterService") counts.push(t.registered().length);
    };
    await t.clock.advance(2_000);
    await t.until(() => t.registered().length === 2);
    expect(t.states().slice(3)).toEqual(["refreshing", "linked"]);
    expect(heard).toEqual([t.link.identity?.runtimeId]);
    // The new ones are there before the first of the old ones goes.
    expect(counts[0]).toBe(4);
  });

  it("gives identities that hardly live is not asked for them in a loop", async () => {
    await using t = startLink({ ours: false, ttlMs: 1 });
    await t.linked();
    await t.clock.advance(10_000);
    expect(t.host.count("Handshake")).toBeLessThanOrEqual(11);
  });

  it("cannot give a new identity yet is asked later, under the old one", async () => {
    await using t = startLink({ ours: false, ttlMs: 100_000 });
    await t.linked();
    t.host.before = (method) => {
      if (method === "Handshake") throw new ConnectError("busy", Code.ResourceExhausted);
    };
    await t.clock.advance(81_000);
    expect(t.events).toContainEqual({
      type: "refresh-failed",
      error: expect.objectContaining({ code: Code.ResourceExhausted }),
    });
    expect(t.link.state).toBe("linked");
    expect(t.link.identity?.runtimeId).toBe("p-1");
    const asked = t.host.count("Handshake");
    await t.clock.advance(10_000);
    expect(t.host.count("Handshake") - asked).toBeLessThanOrEqual(2);
    t.host.before = () => {};
    await t.clock.advance(10_000);
    expect(t.link.identity?.runtimeId).not.toBe("p-1");
  });
});

describe("a refusal", () => {
  it("of the handshake is asked again after long delays only", async () => {
    await using t = startLink({ link: { backoff: { initialMs: 10, maxMs: 10_000 } } });
    t.host.before = () => {
      throw new ConnectError("not admitted", Code.PermissionDenied);
    };
    t.link.start();
    await t.clock.advance(60_000);
    expect(t.host.count("Handshake")).toBeGreaterThanOrEqual(6);
    expect(t.host.count("Handshake")).toBeLessThanOrEqual(13);
  });

  it("of one service leaves the others registered and the link up; it is offered again, but not in a loop", async () => {
    await using t = startLink();
    let refuses = true;
    t.host.before = (method) => {
      if (method === "RegisterService" && refuses && t.registered().length === 1) {
        throw new ConnectError("strict", Code.PermissionDenied);
      }
    };
    await t.linked();
    expect(t.registered()).toEqual(["logger p-1"]);
    expect(t.events).toContainEqual({
      type: "registration-refused",
      service: "audit",
      error: expect.objectContaining({ code: Code.PermissionDenied }),
    });
    await t.clock.advance(60_000);
    expect(t.host.count("RegisterService")).toBeGreaterThanOrEqual(6);
    expect(t.host.count("RegisterService")).toBeLessThanOrEqual(15);
    refuses = false;
    await t.clock.advance(10_000);
    expect(t.registered()).toEqual(["logger p-1", "audit p-1"]);
  });

  it("of an identity just issued is not answered in a loop", async () => {
    await using t = startLink();
    t.host.before = (method) => {
      if (method === "RegisterService") throw new ConnectError("who?", Code.Unauthenticated);
    };
    t.link.start();
    await t.clock.advance(60_000);
    expect(t.host.count("Handshake")).toBeLessThanOrEqual(13);
  });

  it("of a health report is an event, and the link stays", async () => {
    await using t = startLink();
    t.host.before = (method) => {
      if (method === "ReportHealth") throw new ConnectError("no", Code.InvalidArgument);
    };
    await t.linked();
    expect(t.events.map(({ type }) => type)).toContain("health-refused");
  });
});

describe("health", () => {
  it("is reported at once when it changes, one call at a time, the latest only", async () => {
    await using t = startLink();
    await t.linked();
    const held = Promise.withResolvers<void>();
    let running = 0;
    t.host.before = async (method) => {
      if (method !== "ReportHealth") return;
      running += 1;
      expect(running).toBe(1);
      await held.promise;
      running -= 1;
    };
    for (const reason of ["1", "2", "3"]) {
      t.health.setHealth({ state: "degraded", reason, unavailableDependencies: [] });
      await t.clock.advance(0);
    }
    held.resolve();
    await t.clock.advance(0);
    await t.clock.advance(0);
    expect(t.host.reports.map(({ reason }) => reason)).toEqual(["", "1", "3"]);
  });

  it("that changes while the link is down is reported when it is up again", async () => {
    await using t = startLink();
    await t.linked();
    t.host.down = true;
    await t.clock.advance(10_000);
    t.health.setHealth({ state: "unhealthy", reason: "disk full", unavailableDependencies: [] });
    t.host.down = false;
    await t.clock.advance(10_000);
    expect(t.host.reports.at(-1)).toEqual({ runtimeId: "p-1", state: HealthState.UNHEALTHY, reason: "disk full" });
  });

  it("of a server that drains is unhealthy", async () => {
    await using t = startLink();
    await t.linked();
    t.health.drain();
    await t.clock.advance(0);
    expect(t.host.reports.at(-1)).toMatchObject({ state: HealthState.UNHEALTHY });
  });
});

describe("the transport", () => {
  const discover = (t: { link: { transport: Parameters<typeof createClient>[1] } }) =>
    createClient(ServiceRegistry, t.link.transport).discoverService({ serviceType: "logger" });

  it("carries the identity of the moment", async () => {
    await using t = startLink();
    await t.linked();
    await discover(t);
    t.host.restart();
    await t.clock.advance(10_000);
    await discover(t);
    const calls = t.host.calls.filter((call) => call.startsWith("Discover"));
    expect(calls).toEqual(["DiscoverService p-1", `DiscoverService ${t.link.identity?.runtimeId}`]);
    expect(calls[0]).not.toBe(calls[1]);
  });

  it("fails with unavailable that names the state and the last error while the link is down", async () => {
    await using t = startLink();
    await expect(discover(t)).rejects.toMatchObject({ code: Code.Unavailable, cause: { state: "idle" } });
    t.host.down = true;
    t.link.start();
    await t.reach("backoff");
    const error: unknown = await discover(t).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: expect.stringMatching(/waits to try again.*connection refused/),
      cause: expect.any(LinkError),
    });
  });

  it("makes the link look when a call is answered unauthenticated: a host that has forgotten it gets a handshake", async () => {
    await using t = startLink();
    await t.linked();
    t.host.restart();
    t.host.before = (method) => {
      if (method === "DiscoverService") throw new ConnectError("who?", Code.Unauthenticated);
    };
    await expect(discover(t)).rejects.toMatchObject({ code: Code.Unauthenticated });
    await t.clock.advance(1_000);
    expect(t.host.count("Handshake")).toBe(2);
  });

  it("does not shake hands again for an unauthenticated that is not about the link", async () => {
    await using t = startLink();
    await t.linked();
    t.host.before = (method) => {
      if (method === "DiscoverService") throw new ConnectError("log in first", Code.Unauthenticated);
    };
    for (let call = 0; call < 100; call += 1) {
      await expect(discover(t)).rejects.toMatchObject({ code: Code.Unauthenticated });
      await t.clock.advance(10);
    }
    expect(t.host.count("RenewIdentity")).toBe(1);
    expect(t.host.count("Handshake")).toBe(1);
  });
});

describe("an unauthenticated call at a host that is not ours and where nothing is registered", () => {
  const consumer = definePlugin({ name: "consumer", version: "1.0.0", service: Logger });

  it.each([
    { managed: false, handshakes: 2 },
    { managed: true, handshakes: 1 },
  ])("managed $managed: $handshakes handshakes", async ({ managed, handshakes }) => {
    await using t = startLink({ ours: false, managed, link: { plugins: { consumer } } });
    t.link.start();
    if (managed) t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.reach("linked");
    t.host.before = (method) => {
      if (method === "DiscoverService") throw new ConnectError("who?", Code.Unauthenticated);
    };
    const client = createClient(ServiceRegistry, t.link.transport);
    await expect(client.discoverService({ serviceType: "x" })).rejects.toMatchObject({ code: Code.Unauthenticated });
    await t.clock.advance(60_000);
    expect(t.host.count("Handshake")).toBe(handshakes);
    expect(t.link.state).toBe("linked");
  });
});

describe("a managed plugin", () => {
  it("waits for its identity, and registers under it", async () => {
    await using t = startLink({ managed: true });
    t.link.start();
    await t.clock.advance(60_000);
    expect(t.link.state).toBe("idle");
    expect(t.link.setIdentity({ ...t.host.assign("m"), hostUrl })).toBe(true);
    expect(await t.link.whenLinked()).toEqual({ runtimeId: "m-1", hostUrl });
    expect(t.registered()).toEqual(["logger m-1", "audit m-1"]);
    expect(t.host.identities).toEqual(["m-1"]);
  });

  it("takes a new identity in place of the old one, and lets go of that", async () => {
    await using t = startLink({ managed: true });
    t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.reach("linked");
    const heard: (string | undefined)[] = [];
    t.link.onIdentityChange((identity) => heard.push(identity?.runtimeId));
    const next = t.host.assign("m");
    t.link.setIdentity({ ...next, hostUrl });
    await t.reach("linked");
    await t.until(() => t.host.identities.length === 1);
    expect(heard).toEqual([undefined, next.runtimeId]);
    expect(t.registered()).toEqual([`logger ${next.runtimeId}`, `audit ${next.runtimeId}`]);
    expect(t.host.identities).toEqual([next.runtimeId]);
  });

  it("keeps an identity that is given to it twice", async () => {
    await using t = startLink({ managed: true });
    const given = { ...t.host.assign("m"), hostUrl };
    t.link.setIdentity(given);
    await t.reach("linked");
    t.link.setIdentity(given);
    await t.reach("linked");
    await t.clock.advance(30_000);
    expect(t.link.state).toBe("linked");
    expect(t.host.identities).toEqual([given.runtimeId]);
  });

  it("whose identity the host no longer knows asks for one itself; a given one still takes its place", async () => {
    await using t = startLink({ managed: true });
    t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.reach("linked");
    t.host.restart();
    await t.clock.advance(10_000);
    expect(t.link.identity?.runtimeId).toMatch(/^p-/);
    const next = t.host.assign("m");
    t.link.setIdentity({ ...next, hostUrl });
    await t.reach("linked");
    expect(t.link.identity?.runtimeId).toBe(next.runtimeId);
  });

  it("is linked to a host that refuses its handshake", async () => {
    await using t = startLink({ managed: true });
    t.host.before = (method) => {
      if (method === "Handshake") throw new ConnectError("other cookie", Code.InvalidArgument);
    };
    t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.reach("linked");
    expect(t.registered()).toEqual(["logger m-1", "audit m-1"]);
  });

  it("moves to another host, and closes the connection to the old one once that has let it go", async () => {
    await using t = startLink({ managed: true });
    t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.reach("linked");
    const next = t.host.assign("m");
    t.link.setIdentity({ ...next, hostUrl: "http://other.test:1" });
    await t.reach("linked");
    await t.until(() => t.host.identities.length === 1);
    await t.clock.advance(0);
    expect(t.link.identity).toEqual({ runtimeId: next.runtimeId, hostUrl: "http://other.test:1" });
    expect(t.host.closedTransports).toContain(`2 ${hostUrl}`);
    expect(t.host.closedTransports).not.toContain("2 http://other.test:1");
  });

  it("that is given an identity after a long outage tries soon again", async () => {
    await using t = startLink({ managed: true, link: { backoff: { initialMs: 100, maxMs: 10_000, jitter: "none" } } });
    t.host.down = true;
    t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.clock.advance(60_000);
    t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
    await t.reach("backoff");
    expect(t.clock.nextDueMs).toBe(100);
  });

  it("refuses a malformed host and keeps what it has", async () => {
    await using t = startLink({ managed: true });
    const bad = () => t.link.setIdentity({ ...t.host.assign("m"), hostUrl: "ftp://host" });
    expect(bad).toThrow(TypeError);
    expect([t.link.state, t.link.hostUrl]).toEqual(["idle", undefined]);
  });
});

describe("listeners of the identity", () => {
  it("hear of each change once, whatever others of them do", async () => {
    await using t = startLink();
    const heard: (string | undefined)[] = [];
    t.link.onIdentityChange(() => {
      throw new Error("broken listener");
    });
    const asynchronous: () => unknown = () => Promise.reject(new Error("broken asynchronous listener"));
    t.link.onIdentityChange(asynchronous);
    t.link.onIdentityChange((identity) => heard.push(identity?.runtimeId));
    const stop = t.link.onIdentityChange(() => heard.push("stopped"));
    stop();
    await t.linked();
    t.host.restart();
    await t.clock.advance(10_000);
    const second = t.link.identity?.runtimeId;
    await t.link.close();
    expect(heard).toEqual(["p-1", undefined, second, undefined]);
    expect(t.events.filter(({ type }) => type === "listener-failed")).toHaveLength(8);
  });

  it("may close the link; the others hear of everything, in its order", async () => {
    await using t = startLink();
    let closing: Promise<void> | undefined;
    const heard: (string | undefined)[] = [];
    t.link.onIdentityChange(() => {
      closing ??= t.link.close();
    });
    t.link.onIdentityChange((identity) => heard.push(identity?.runtimeId));
    t.link.start();
    await t.reach("closed");
    await closing;
    expect(t.states()).toEqual(["connecting", "registering", "linked", "closing", "closed"]);
    expect(heard).toEqual(["p-1", undefined]);
  });
});

describe("whenLinked", () => {
  it("is bounded, and says what the link is doing and why", async () => {
    await using t = startLink();
    t.host.down = true;
    t.link.start();
    const waiting = expect(t.link.whenLinked({ timeoutMs: 5_000 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
      rawMessage: expect.stringContaining("connection refused"),
    });
    await t.clock.advance(5_000);
    await waiting;
  });

  it("ends with the reason of its signal, and with unavailable when the link closes", async () => {
    await using t = startLink();
    const gaveUp = new AbortController();
    const given = expect(t.link.whenLinked({ signal: gaveUp.signal })).rejects.toBe("enough");
    gaveUp.abort("enough");
    await given;
    const waiting = expect(t.link.whenLinked()).rejects.toMatchObject({
      code: Code.Unavailable,
      cause: { state: "closing" },
    });
    await t.link.close();
    await waiting;
    await expect(t.link.whenLinked()).rejects.toMatchObject({ code: Code.Unavailable, cause: { state: "closed" } });
  });
});

describe("close", () => {
  it("takes back registrations and identity", async () => {
    await using t = startLink();
    await t.linked();
    await t.link.close();
    expect([t.link.state, t.host.registrations, t.host.identities, t.link.identity]).toEqual([
      "closed",
      [],
      [],
      undefined,
    ]);
    expect(t.host.closedTransports).toContain(`2 ${hostUrl}`);
    expect(t.link.setIdentity({ runtimeId: "x", runtimeToken: "y", hostUrl })).toBe(false);
  });

  it.each<{ stage: string; hold: string; state: LinkStateName }>([
    { stage: "shaking hands", hold: "Handshake", state: "connecting" },
    { stage: "registering", hold: "RegisterService", state: "registering" },
    { stage: "reporting health", hold: "ReportHealth", state: "registering" },
  ])("while $stage ends the call and leaves nothing behind", async ({ hold, state }) => {
    await using t = startLink();
    const { promise: held, resolve: reached } = Promise.withResolvers<AbortSignal>();
    t.host.before = (method, signal) => {
      if (method !== hold) return;
      reached(signal);
      return new Promise(() => {});
    };
    t.link.start();
    const signal = await held;
    expect(t.link.state).toBe(state);
    await t.link.close();
    expect(signal.aborted).toBe(true);
    expect(t.clock.pending).toBe(0);
    expect(t.registered()).toEqual([]);
  });

  it("while asking for the next identity keeps quiet about it", async () => {
    await using t = startLink({ ours: false, ttlMs: 100_000 });
    await t.linked();
    t.host.before = (method) => (method === "Handshake" ? new Promise(() => {}) : undefined);
    await t.clock.advance(81_000);
    expect(t.link.state).toBe("refreshing");
    t.host.before = () => {};
    await t.link.close();
    expect(t.events.map(({ type }) => type)).not.toContain("refresh-failed");
    expect([t.registered(), t.clock.pending]).toEqual([[], 0]);
  });

  it("while waiting to try again ends at once", async () => {
    await using t = startLink();
    t.host.down = true;
    t.link.start();
    await t.reach("backoff");
    await t.link.close();
    expect(t.clock.pending).toBe(0);
  });

  it("is bounded when the host does not answer, and cut short by its signal", async () => {
    await using t = startLink();
    await t.linked();
    t.host.before = () => new Promise(() => {});
    const closing = t.link.close({ timeoutMs: 2_000 });
    await t.clock.advance(1_999);
    expect(t.link.state).toBe("closing");
    await t.link.close({ signal: AbortSignal.abort() });
    await closing;
    expect(t.link.state).toBe("closed");
  });

  it("ends by its own bound", async () => {
    await using t = startLink();
    await t.linked();
    t.host.before = () => new Promise(() => {});
    const closing = t.link.close({ timeoutMs: 2_000 });
    await t.clock.advance(2_000);
    await closing;
    expect(t.link.state).toBe("closed");
  });
});

describe("withdraw", () => {
  it("takes back the registrations; the identity stays, and calls still work", async () => {
    await using t = startLink();
    await t.linked();
    await t.link.withdraw();
    expect([t.registered(), t.host.identities, t.link.state]).toEqual([[], ["p-1"], "linked"]);
    t.host.restart();
    await t.clock.advance(10_000);
    expect(t.link.state).toBe("linked");
    expect(t.registered()).toEqual([]);
  });

  it("while a registration is under way takes that back, too", async () => {
    await using t = startLink();
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: reached } = Promise.withResolvers<void>();
    t.host.before = (method) => {
      if (method !== "RegisterService") return;
      reached();
      return held;
    };
    t.link.start();
    await arrived;
    await t.link.withdraw();
    goOn();
    await t.reach("linked");
    expect(t.registered()).toEqual([]);
    expect(t.host.count("RegisterService")).toBe(1);
  });
});

describe("law: when the host is back", () => {
  type Happening = "down" | "up" | "restart" | "revoke" | "given" | "unhealthy" | "healthy" | number;
  const happening: fc.Arbitrary<Happening> = fc.oneof(
    fc.constantFrom<Happening>("down", "up", "restart", "revoke", "given", "unhealthy", "healthy"),
    fc.integer({ min: 0, max: 15_000 }),
  );

  it.each([
    { ours: true, managed: false },
    { ours: true, managed: true },
    { ours: false, managed: false },
  ])(
    "the plugin is registered once, its health is known, and closing leaves nothing: ours $ours, managed $managed",
    async (kind) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(happening, { maxLength: 15 }),
          fc.integer({ min: 20_000, max: 200_000 }),
          async (story, ttlMs) => {
            await using t = startLink({ ...kind, ttlMs });
            const give = () => t.link.setIdentity({ ...t.host.assign("m"), hostUrl });
            t.link.start();
            if (kind.managed) give();
            for (const part of story) {
              if (typeof part === "number") await t.clock.advance(part);
              else if (part === "down" || part === "up") t.host.down = part === "down";
              else if (part === "restart") t.host.restart();
              else if (part === "revoke") t.host.revoke(t.link.identity?.runtimeId ?? "");
              else if (part === "given") give();
              else t.health.setHealth({ state: part, reason: "", unavailableDependencies: [] });
            }
            t.host.down = false;
            // Another host may hide an unhealthy provider, so that what it has forgotten shows only when that is healthy.
            if (!kind.ours) t.health.setHealth({ state: "healthy", reason: "", unavailableDependencies: [] });
            await t.clock.advance(60_000);
            expect(t.link.state).toBe("linked");
            const mine = t.registered().filter((line) => line.endsWith(` ${t.link.identity?.runtimeId}`));
            expect(mine.toSorted()).toEqual([
              `audit ${t.link.identity?.runtimeId}`,
              `logger ${t.link.identity?.runtimeId}`,
            ]);
            const wire = {
              healthy: HealthState.HEALTHY,
              degraded: HealthState.DEGRADED,
              unhealthy: HealthState.UNHEALTHY,
            };
            expect(t.host.reports.at(-1)).toMatchObject({
              runtimeId: t.link.identity?.runtimeId,
              state: wire[t.health.report().state],
            });
            await t.link.close();
            expect(t.clock.pending).toBe(0);
          },
        ),
        { numRuns: 60 },
      );
    },
  );
});

describe("a bad timeoutMs", () => {
  it.each([Number.NaN, -1])("%d is refused, and changes nothing", async (timeoutMs) => {
    await using t = startLink();
    await t.linked();
    const refused = /^timeoutMs must be a number of ms from 0/;
    await expect(t.link.whenLinked({ timeoutMs })).rejects.toThrow(refused);
    await expect(t.link.close({ timeoutMs })).rejects.toThrow(refused);
    expect(t.link.state).toBe("linked");
  });
});

describe("options", () => {
  it.each([
    { option: "heartbeatMs", link: { heartbeatMs: 0 } },
    { option: "attemptMs", link: { attemptMs: Number.NaN } },
    { option: "initialMs", link: { backoff: { initialMs: -1 } } },
    { option: "appProtocolVersions", link: { appProtocolVersions: [] } },
    { option: "hostUrl", link: { hostUrl: "localhost:8080" } },
    { option: "hostUrl[1]", link: { hostUrl: ["http://a", "b"] } },
  ])("a bad $option is refused", ({ option, link }) => {
    expect(() => startLink({ link })).toThrow(option);
  });
});
