import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeLink } from "../../test/support/fake-link.ts";
import { keepRegistered } from "./kept-registration.ts";
import { createLinkPauses } from "./link-pauses.ts";

const attemptMs = 10_000;
const checkMs = 5_000;
const backoff = { initialMs: 100, maxMs: 1_000, jitter: "none" } as const;
const closed = new ConnectError("closed", Code.Unavailable);

function begin(link: FakeLink, type = "logger") {
  const clock = new FakeClock();
  const refused: Code[] = [];
  let ended = 0;
  const begun = keepRegistered({
    offer: { type, version: "1.0.0", path: "/log/" },
    registry: createClient(ServiceRegistry, link.transport),
    link,
    pauses: createLinkPauses({ link, backoff, random: () => 0, clock }),
    clock,
    place: () => link.registrationMetadata,
    attemptMs,
    checkMs,
    onRefused: ({ code }) => void refused.push(code),
    onEnd: () => {
      ended += 1;
    },
  });
  return { ...begun, begun, clock, refused, ended: () => ended };
}

/** Holds calls of a method until they are let go. */
function gate(link: FakeLink, method: string, when: "before" | "after") {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: open, resolve: letGo } = Promise.withResolvers<void>();
  link[when] = async (called) => {
    if (called !== method) return;
    arrive();
    await open;
  };
  return { arrived, letGo };
}

const held = (link: FakeLink) => link.registrations.map(({ runtimeId, type }) => `${type} of ${runtimeId}`);

describe("keepRegistered", () => {
  it("registers once, and says where the plugin is", async () => {
    const link = new FakeLink();
    const { registration, accepted, clock } = begin(link);
    await accepted;
    await clock.advance(365 * 24 * 60 * 60 * 1000);
    expect(link.calls).toEqual(["Register plugin-1"]);
    expect(link.registrations).toMatchObject([
      { id: registration.registrationId, metadata: link.registrationMetadata },
    ]);
  });

  it("waits for the link, however long it is down", async () => {
    const link = new FakeLink();
    link.goDown();
    const { accepted, clock } = begin(link);
    await clock.advance(60_000);
    expect(link.calls).toEqual([]);
    link.comeBack();
    await accepted;
    expect(held(link)).toEqual(["logger of plugin-1"]);
  });

  it("tries again with growing delays what fails, and tells why", async () => {
    const link = new FakeLink();
    link.before = () => {
      throw closed;
    };
    const { begun, accepted, clock } = begin(link);
    await clock.advance(0);
    expect(begun.lastError).toMatchObject({ code: Code.Unavailable });
    await clock.advance(1_500); // after 100, 200, 400 and 800 ms
    expect(link.count("Register")).toBe(5);
    link.before = () => {};
    await clock.advance(1_000);
    await accepted;
    expect(begun.lastError).toBeUndefined();
    const failing = link.count("Register");
    link.before = () => {
      throw closed;
    };
    link.takeIdentity("plugin-2");
    await clock.advance(300); // from the first delay on: after 100 and 200 ms
    expect(link.count("Register") - failing).toBe(3);
  });

  it.each([Code.InvalidArgument, Code.PermissionDenied, Code.Unimplemented])(
    "gives up what the host refuses at first: code %i",
    async (code) => {
      const link = new FakeLink();
      link.before = () => {
        throw new ConnectError("no", code);
      };
      const { accepted, clock, refused, registration } = begin(link);
      await expect(accepted).rejects.toMatchObject({ code });
      await registration.unregister();
      await clock.advance(60_000);
      expect({ calls: link.calls, refused, pending: clock.pending, held: link.held }).toEqual({
        calls: ["Register plugin-1"],
        refused: [],
        pending: 0,
        held: 0,
      });
    },
  );

  it("offers again what the host refuses later", async () => {
    const link = new FakeLink();
    const { accepted, clock, refused, registration } = begin(link);
    await accepted;
    link.before = () => {
      throw new ConnectError("no longer", Code.PermissionDenied);
    };
    link.loseIdentity();
    link.takeIdentity("plugin-2");
    await clock.advance(300);
    expect(refused).toEqual([Code.PermissionDenied, Code.PermissionDenied, Code.PermissionDenied]);
    expect(registration.registrationId).toBeUndefined();
    link.before = () => {};
    await clock.advance(1_000);
    expect(held(link)).toEqual(["logger of plugin-2"]);
  });

  it("renews a lease after a third of it, as the host grants it", async () => {
    const link = new FakeLink();
    link.lease = { seconds: 30n, nanos: 0 };
    const { accepted, clock } = begin(link);
    await accepted;
    await clock.advance(9_999);
    expect(link.count("Register")).toBe(1);
    await clock.advance(1);
    expect(link.count("Register")).toBe(2);
    link.lease = { seconds: 0n, nanos: 0 };
    await clock.advance(10_000);
    await clock.advance(1_000);
    expect(link.count("Register")).toBe(13);
  });

  it("misses no identity that comes while it is being registered under another", async () => {
    const link = new FakeLink();
    const { arrived, letGo } = gate(link, "Register", "after");
    const { accepted, clock } = begin(link);
    await arrived;
    link.loseIdentity();
    link.takeIdentity("plugin-2");
    letGo();
    await accepted;
    await clock.advance(0);
    expect(held(link)).toEqual(["logger of plugin-2"]);
  });

  it("waits for a call under way before it takes the registration back", async () => {
    const link = new FakeLink();
    const { arrived, letGo } = gate(link, "Register", "after");
    const { accepted, clock, registration, ended } = begin(link);
    await arrived;
    const unregistered = registration.unregister();
    expect(registration.unregister()).toBe(unregistered);
    await clock.advance(0);
    expect(link.calls).toEqual(["Register plugin-1"]);
    letGo();
    await unregistered;
    await accepted;
    expect({ held: held(link), ended: ended(), pending: clock.pending }).toEqual({ held: [], ended: 1, pending: 0 });
  });

  it("fails with canceled when it is taken back before the host has it", async () => {
    const link = new FakeLink();
    link.goDown();
    const { accepted, registration } = begin(link);
    await registration.unregister();
    await expect(accepted).rejects.toMatchObject({ code: Code.Canceled });
    expect(link.held).toBe(0);
  });

  it("tells a host that was away when it is back", async () => {
    const link = new FakeLink();
    const { accepted, registration, clock } = begin(link);
    await accepted;
    link.goDown();
    await registration.unregister();
    expect(registration.registrationId).toBeUndefined();
    link.comeBack();
    await clock.advance(0);
    expect({ held: held(link), waiting: link.held, pending: clock.pending }).toEqual({
      held: [],
      waiting: 0,
      pending: 0,
    });
  });

  it("has nothing to tell when its identity is gone", async () => {
    const link = new FakeLink();
    const { accepted, registration, clock } = begin(link);
    await accepted;
    link.loseIdentity();
    await registration.unregister();
    link.takeIdentity("plugin-2");
    await clock.advance(60_000);
    expect({ calls: link.calls, waiting: link.held, pending: clock.pending }).toEqual({
      calls: ["Register plugin-1"],
      waiting: 0,
      pending: 0,
    });
  });

  it.each(["at once", "after the identity was lost"])("ends with its link: %s", async (when) => {
    const link = new FakeLink();
    const { accepted, registration, clock } = begin(link);
    await accepted;
    if (when !== "at once") link.loseIdentity();
    await clock.advance(0);
    link.close();
    await clock.advance(0);
    expect({ waiting: link.held, pending: clock.pending, id: registration.registrationId }).toEqual({
      waiting: 0,
      pending: 0,
      id: undefined,
    });
    await registration.unregister();
  });
});

describe("keepRegistered, under a host that does not track identities", () => {
  it("looks whether it is still known, and registers once more only when not", async () => {
    const link = new FakeLink({ isOurs: false });
    const { accepted, clock } = begin(link);
    await accepted;
    await clock.advance(3 * checkMs);
    expect({ registers: link.count("Register"), checks: link.count("Discover") }).toEqual({ registers: 1, checks: 3 });
    link.registrations = [];
    await clock.advance(checkMs);
    expect(held(link)).toEqual(["logger of plugin-1"]);
  });

  it("takes back what it had under another identity, which the host would keep", async () => {
    const link = new FakeLink({ isOurs: false });
    const { accepted, clock, registration } = begin(link);
    await accepted;
    link.loseIdentity();
    link.takeIdentity("plugin-2");
    await clock.advance(0);
    expect(held(link)).toEqual(["logger of plugin-2"]);
    link.loseIdentity();
    link.takeIdentity("plugin-3");
    await registration.unregister();
    expect(held(link)).toEqual([]);
  });

  it("does not pile up while a host finds nobody whom it would call", async () => {
    const link = new FakeLink({ isOurs: false });
    const { accepted, clock } = begin(link);
    await accepted;
    link.before = (method) => {
      if (method === "Discover") throw new ConnectError("all unhealthy", Code.NotFound);
    };
    await clock.advance(10 * checkMs);
    expect(held(link)).toEqual(["logger of plugin-1"]);
  });

  it.each([Code.PermissionDenied, Code.Unimplemented])("does without an answer: code %i", async (code) => {
    const link = new FakeLink({ isOurs: false });
    const { accepted, clock, refused } = begin(link);
    await accepted;
    link.before = (method) => {
      if (method === "Discover") throw new ConnectError("no", code);
    };
    await clock.advance(2 * checkMs);
    expect({ held: held(link), refused }).toEqual({ held: ["logger of plugin-1"], refused: [] });
  });
});

describe("law: whatever befalls link and host, in the end", () => {
  const names = ["go down", "come back", "lose identity", "take identity", "fail next", "answer late"] as const;
  /** A number is a time that passes, in ms. */
  const happening = fc.oneof(fc.constantFrom(...names), fc.nat(12_000));
  const live = async (happenings: readonly ((typeof names)[number] | number)[]) => {
    const link = new FakeLink();
    link.lease = { seconds: 20n, nanos: 0 };
    const { registration, clock } = begin(link);
    let identities = 1;
    const late: (() => void)[] = [];
    for (const happens of happenings) {
      if (typeof happens === "number") await clock.advance(happens);
      else if (happens === "go down") link.goDown();
      else if (happens === "come back" && link.identity !== undefined) link.comeBack();
      else if (happens === "lose identity") link.loseIdentity();
      else if (happens === "take identity") link.takeIdentity(`plugin-${++identities}`);
      else if (happens === "fail next") {
        link.before = () => {
          link.before = () => {};
          throw closed;
        };
      } else {
        link.after = () => {
          link.after = () => {};
          return new Promise((resolve) => late.push(resolve));
        };
      }
      await clock.advance(0);
    }
    for (const resolve of late) resolve();
    link.before = () => {};
    link.after = (_method) => {};
    if (link.identity === undefined) link.takeIdentity(`plugin-${++identities}`);
    else link.comeBack();
    await clock.advance(10_000);
    return { link, registration, clock };
  };

  it("a host of ours has it once under the plugin's identity, and not at all when it is taken back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 12 }), async (happenings) => {
        const { link, registration, clock } = await live(happenings);
        expect(held(link)).toEqual([`logger of ${link.identity?.runtimeId}`]);
        expect(registration.registrationId).toBe(link.registrations[0]?.id);
        await registration.unregister();
        await clock.advance(2_000);
        expect({ held: held(link), waiting: link.held, pending: clock.pending }).toEqual({
          held: [],
          waiting: 0,
          pending: 0,
        });
      }),
      { numRuns: 200 },
    );
  });
});
