import { Code, ConnectError } from "@connectrpc/connect";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { retryLater } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { FakeGrantHost } from "../../test/support/fake-grant-host.ts";
import { capability } from "./capability.ts";
import { CapabilityError } from "./capability-error.ts";
import type { CapabilityOptions } from "./capability-options.ts";
import { holdCapability } from "./held-capability.ts";

const descriptor = { type: "logger", version: "1.0.0", service: Logger } as const;
const both = { type: "logger", version: "1.0.0", services: { log: Logger, health: HealthService } } as const;

function scene(options: CapabilityOptions = {}, host = new FakeGrantHost()) {
  const clock = new FakeClock();
  const held = holdCapability(host, both, { clock, random: () => 0.5, ...options });
  const log = (message = "x", signal?: AbortSignal) =>
    held.client.log.log({ level: "info", message }, signal && { signal });
  return { host, clock, held, log };
}

function refuse(host: FakeGrantHost, question: string, error: ConnectError): void {
  host.before = (heard) => {
    if (heard.startsWith(question)) throw error;
  };
}

function gate(host: FakeGrantHost, question: string) {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: open, resolve: letGo } = Promise.withResolvers<void>();
  host.before = async (heard) => {
    if (!heard.startsWith(question)) return;
    arrive();
    await open;
  };
  return { arrived, letGo };
}

describe("the first use of a capability", () => {
  it("asks the host, and nothing before it does", async () => {
    const { host, held, log } = scene({ reason: "to tell" });
    expect(host.heard).toEqual([]);
    await log("one");
    expect(host.heard).toEqual(["Request logger 1.0.0 to tell", "Log g1 one"]);
    expect([held.state, held.accessor, held.version]).toEqual(["held", "a-g1", "1.2.0"]);
  });

  it("asks once for all calls that come meanwhile", async () => {
    const { host, log } = scene();
    await Promise.all([log("a"), log("b"), log("c")]);
    await log("d");
    expect(host.count("Request")).toBe(1);
    expect(host.count("Log g1")).toBe(4);
  });

  it("is not the end for others when one call gives up", async () => {
    const { host, log } = scene();
    const { arrived, letGo } = gate(host, "Request");
    const giving = new AbortController();
    const impatient = log("a", giving.signal);
    const patient = log("b");
    await arrived;
    giving.abort(new ConnectError("enough", Code.Canceled));
    await expect(impatient).rejects.toMatchObject({ code: Code.Canceled });
    letGo();
    await patient;
    expect(host.count("Request")).toBe(1);
  });

  it.each([
    { what: "the descriptor's version", options: {}, asked: "Request logger 1.0.0" },
    { what: "any version", options: { minVersion: "" }, asked: "Request logger" },
    { what: "another version", options: { minVersion: "1.1.0" }, asked: "Request logger 1.1.0" },
    { what: "a time to live", options: { ttlMs: 5_000 }, asked: "Request logger 1.0.0  5" },
  ])("asks for $what", async ({ options, asked }) => {
    const { host, log } = scene(options);
    await log();
    expect(host.heard[0]).toBe(asked);
  });

  it("waits for a link that is down, and is over with the link", async () => {
    const { host, log } = scene();
    host.takeIdentity(undefined);
    const call = log();
    host.takeIdentity("plugin-1");
    await call;
    host.close();
    await expect(log()).rejects.toMatchObject({ code: Code.Unavailable });
  });

  it("is typed for one service, too, and can be disposed of", async () => {
    const host = new FakeGrantHost();
    {
      await using log = capability(host, descriptor, { clock: new FakeClock() });
      await log.log({ message: "one" });
    }
    expect(host.heard.at(-1)).toBe("Return g1");
    expect(host.held).toBe(0);
  });
});

describe("a renewal", () => {
  it("comes around half of the time to live, again and again", async () => {
    const { host, clock, log } = scene();
    await log();
    await clock.advance(29_999);
    expect(host.count("Renew")).toBe(0);
    await clock.advance(1);
    expect(host.count("Renew")).toBe(1);
    await clock.advance(120_000);
    expect(host.count("Renew")).toBe(5);
    expect(host.count("Request")).toBe(1);
  });

  it("is tried again while there is time, when the host is away", async () => {
    const { host, clock, log } = scene();
    await log();
    refuse(host, "Renew", new ConnectError("not now", Code.Unavailable));
    await clock.advance(30_000);
    expect(host.count("Renew")).toBe(1);
    host.before = () => {};
    await clock.advance(20_000);
    expect(host.count("Renew")).toBe(2);
    await log();
    expect(host.count("Request")).toBe(1);
  });

  it("that the host refuses leads to another grant, when a call needs one", async () => {
    const { host, clock, held, log } = scene();
    await log();
    refuse(host, "Renew", new ConnectError("as old as it gets", Code.FailedPrecondition));
    await clock.advance(60_000);
    expect(held.state).toBe("none");
    expect(host.count("Request")).toBe(1);
    await log("again");
    expect(host.heard.slice(-2)).toEqual(["Request logger 1.0.0", "Log g2 again"]);
  });

  it("is not asked of hosts that know none: there is another grant after half an hour", async () => {
    const other = new FakeGrantHost();
    other.ttlMs = undefined;
    const { host, clock, log } = scene({}, other);
    await log();
    await clock.advance(29 * 60_000);
    await log();
    expect(host.count("Request")).toBe(1);
    await clock.advance(60_000);
    await log();
    expect(host.count("Request")).toBe(2);
    expect(host.count("Renew")).toBe(0);
  });
});

describe("a grant that the host does not know any more", () => {
  it("is asked for again, and the call that found out is sent once more", async () => {
    const { host, log } = scene();
    await log("one");
    host.forgetGrants();
    await log("two");
    expect(host.heard.slice(-3)).toEqual(["Log g1 two", "Request logger 1.0.0", "Log g2 two"]);
  });

  it("is not asked for in a loop", async () => {
    const { host, log } = scene();
    host.before = (heard) => {
      if (heard.startsWith("Log")) host.forgetGrants();
    };
    await expect(log()).rejects.toMatchObject({ code: Code.NotFound });
    expect(host.count("Request")).toBe(2);
    expect(host.count("Log")).toBe(2);
  });

  it("ends a stream, which is not sent again; the next call has another", async () => {
    const { host, held, log } = scene();
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const message of held.client.health.watch({})) {
        seen.push(message);
        host.forgetGrants();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.NotFound });
    expect(seen).toHaveLength(1);
    await log();
    expect(host.count("Request")).toBe(2);
  });

  it("is another thing than what the capability itself does not find", async () => {
    const { host, log } = scene();
    await log();
    refuse(host, "Log", new ConnectError("no such log", Code.NotFound));
    await expect(log()).rejects.toMatchObject({ code: Code.NotFound });
    host.before = () => {};
    await log();
    expect(host.count("Request")).toBe(1);
  });

  it("is one of another identity, too", async () => {
    const { host, log } = scene();
    await log();
    host.takeIdentity("plugin-2");
    await log();
    expect(host.grants.get("g2")?.holder).toBe("plugin-2");
    expect(host.count("Log g1")).toBe(1);
  });

  it("is one that came too late, for an identity that has ended", async () => {
    const { host, log } = scene();
    const { arrived, letGo } = gate(host, "Request");
    const call = log();
    await arrived;
    host.takeIdentity("plugin-2");
    letGo();
    await call;
    expect([host.count("Log g1"), host.count("Log g2")]).toEqual([0, 1]);
  });

  it("is waited for while the link finds out that the host has forgotten the plugin", async () => {
    const { host, clock, log } = scene();
    refuse(host, "Request", new ConnectError("who are you?", Code.Unauthenticated));
    const call = log();
    // The call waits, and so does the question.
    await Promise.race([clock.waitForSleep(2), call]);
    host.before = () => {};
    host.takeIdentity("plugin-2");
    await call;
    expect(host.count("Request")).toBe(2);
  });
});

describe("a host that says no", () => {
  const denial = new ConnectError("the policy forbids it", Code.PermissionDenied);

  it("is believed for a pause: calls fail, and it is not asked", async () => {
    const { host, clock, held, log } = scene({ deniedMs: 1_000 });
    refuse(host, "Request", denial);
    const error: unknown = await log().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: Code.PermissionDenied });
    expect((error as ConnectError).message).toContain("the policy forbids it");
    expect((error as ConnectError).cause).toBeInstanceOf(CapabilityError);
    expect((error as ConnectError).cause).toMatchObject({ fault: "denied", capabilityType: "logger" });
    await clock.advance(999);
    await expect(log()).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect([held.state, host.count("Request")]).toEqual(["denied", 1]);
    host.before = () => {};
    await clock.advance(1);
    await log();
    expect(host.count("Request")).toBe(2);
  });

  it.each([Code.NotFound, Code.InvalidArgument, Code.Unimplemented, Code.ResourceExhausted])(
    "in code %i is not asked again at once",
    async (code) => {
      const { host, log } = scene();
      refuse(host, "Request", new ConnectError("no", code));
      await expect(log()).rejects.toMatchObject({ code });
      const asked = host.count("Request");
      await expect(log()).rejects.toMatchObject({ code });
      expect(host.count("Request")).toBe(asked);
    },
  );

  it("says when to come back", async () => {
    const { host, clock, log } = scene();
    refuse(host, "Request", retryLater("too many", Code.ResourceExhausted, 200));
    await expect(log()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    host.before = () => {};
    await clock.advance(200);
    await log();
  });

  it("is asked again by a plugin with another identity", async () => {
    const { host, log } = scene();
    refuse(host, "Request", denial);
    await expect(log()).rejects.toMatchObject({ code: Code.PermissionDenied });
    host.before = () => {};
    host.takeIdentity("plugin-2");
    await log();
  });

  it("is no host that cannot be asked: the next call asks", async () => {
    const { host, log } = scene();
    refuse(host, "Request", new ConnectError("not now", Code.Unavailable));
    await expect(log()).rejects.toMatchObject({ code: Code.Unavailable, cause: { fault: "unreachable" } });
    host.before = () => {};
    await log();
  });
});

describe("a grant for another plugin", () => {
  it("is derived from the one that is held, and used by the other in place of asking", async () => {
    const { host, held, log } = scene();
    const order = { holder: "other-1", methods: ["capability.logger.v1.Logger/Log"], ttlMs: 5_000, reason: "for now" };
    const given = await held.derive(order);
    expect(host.heard.at(-1)).toBe("Derive g1 other-1 capability.logger.v1.Logger/Log 5 for now");
    const other = scene({ grant: given }, host);
    await other.log("from the other");
    expect(host.heard.at(-1)).toBe("Log g2 from the other");
    await log("mine");
    expect(host.heard.at(-1)).toBe("Log g1 mine");
    expect(host.count("Request")).toBe(1);
  });

  it("has no successor when it ends", async () => {
    const { host, held } = scene();
    const other = scene({ grant: await held.derive({ holder: "other-1" }) }, host);
    await other.log();
    host.grants.delete("g2");
    await expect(other.log()).rejects.toMatchObject({ code: Code.FailedPrecondition, cause: { fault: "ended" } });
    expect(host.count("Request")).toBe(1);
  });
});

describe("the end", () => {
  it("gives the grant back, and leaves nothing behind", async () => {
    const { host, clock, held, log } = scene();
    await log();
    await Promise.all([held.close(), held.close()]);
    expect(host.heard.slice(2)).toEqual(["Return g1"]);
    expect([host.held, clock.pending]).toEqual([0, 0]);
    await expect(log()).rejects.toMatchObject({ code: Code.Canceled, cause: { fault: "closed" } });
  });

  it("comes to calls that wait, too", async () => {
    const { host, held, log } = scene();
    const { arrived, letGo } = gate(host, "Request");
    const call = log();
    await arrived;
    await held.close();
    await expect(call).rejects.toMatchObject({ code: Code.Canceled });
    letGo();
  });
});

describe("the options of a capability", () => {
  it.each([{ attemptMs: 0 }, { deniedMs: -1 }, { ttlMs: 0 }, { ttlMs: Number.NaN }])("are checked: %o", (options) => {
    const [name = ""] = Object.keys(options);
    expect(() => scene(options)).toThrow(new RegExp(`^${name} must be`));
  });
});
