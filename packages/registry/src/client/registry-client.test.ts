import { Code, ConnectError } from "@connectrpc/connect";
import { definePlugin } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { FakeLink } from "../../test/support/fake-link.ts";
import { RelayService } from "../../test/support/relay-service.ts";
import { type RegistryClientOptions, registryClient } from "./registry-client.ts";

const relay = definePlugin({ name: "relay", version: "1.0.0", service: RelayService });
const offer = { type: "relay", version: "1.0.0", path: "/relay/" };

function scene(options: RegistryClientOptions = {}, link = new FakeLink()) {
  const clock = new FakeClock();
  const client = registryClient(link, { clock, random: () => 0, ...options });
  return { link, clock, client };
}

function gateAfter(link: FakeLink, method: string) {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: open, resolve: letGo } = Promise.withResolvers<void>();
  link.after = async (called) => {
    if (called !== method) return;
    arrive();
    await open;
  };
  return { arrived, letGo };
}

describe("the options of a registry client", () => {
  it.each([
    { options: { attemptMs: 0 }, error: /^attemptMs/ },
    { options: { attemptMs: Number.POSITIVE_INFINITY }, error: /^attemptMs/ },
    { options: { checkMs: Number.NaN }, error: /^checkMs/ },
    { options: { checkMs: -1 }, error: /^checkMs/ },
    { options: { backoff: { initialMs: 0 } }, error: /^initialMs/ },
  ])("are checked: $options", ({ options, error }) => {
    expect(() => scene(options)).toThrow(RangeError);
    expect(() => scene(options)).toThrow(error);
  });

  it.each([
    { says: "the link", client: undefined, own: undefined, baseUrl: "http://plugin.test" },
    { says: "the client", client: "http://client.test", own: undefined, baseUrl: "http://client.test" },
    { says: "the offer", client: "http://client.test", own: "http://offer.test", baseUrl: "http://offer.test" },
  ])("tell where the plugin is: $says", async ({ client: baseUrl, own, ...expected }) => {
    const { client, link } = scene({ baseUrl });
    await client.register({ ...offer, baseUrl: own });
    expect(link.registrations[0]?.metadata).toEqual({ base_url: expected.baseUrl });
  });

  it("say how often a host is looked at that cannot tell that it was restarted", async () => {
    const { client, link, clock } = scene({ checkMs: 700 }, new FakeLink({ isOurs: false }));
    await client.register(offer);
    await clock.advance(2_100);
    expect(link.count("Discover")).toBe(3);
  });

  it("say how long to wait after failures, by half of it at least", async () => {
    const { client, link, clock } = scene({ backoff: { initialMs: 1_000, maxMs: 1_000 } });
    link.before = () => {
      throw new ConnectError("not now", Code.Unavailable);
    };
    const registering = client.register(offer, { timeoutMs: 1_600 }).catch(() => {});
    await clock.advance(499);
    expect(link.count("Register")).toBe(1);
    await clock.advance(1);
    expect(link.count("Register")).toBe(2);
    await clock.advance(1_100);
    await registering;
  });

  it("bound each call, which is then made again", async () => {
    const { client, link, clock } = scene({ attemptMs: 20 });
    link.before = () => new Promise(() => {});
    const registering = client.register(offer);
    await clock.waitForSleep(2); // the bound on register, and the pause
    link.before = () => {};
    await clock.advance(100);
    await registering;
    expect(link.calls).toEqual(["Register plugin-1", "Register plugin-1"]);
  });

  it("say who hears of refusals; what that throws is dropped", async () => {
    const heard: string[] = [];
    const { client, link, clock } = scene({
      onRefused(type, { code }) {
        heard.push(`${type} ${Code[code]}`);
        throw new Error("a listener's own");
      },
    });
    await client.register(offer);
    link.before = () => {
      throw new ConnectError("no longer", Code.PermissionDenied);
    };
    link.takeIdentity("plugin-2");
    await clock.advance(0);
    expect(heard).toEqual(["relay PermissionDenied"]);
    link.before = () => {};
    await clock.advance(100);
    expect(link.registrations).toHaveLength(1);
  });
});

describe("register", () => {
  it.each([
    { options: { timeoutMs: 0 }, own: {}, error: /^timeoutMs/ },
    { options: { timeoutMs: Number.NaN }, own: {}, error: /^timeoutMs/ },
    { options: {}, own: { leaseMs: 0.5 }, error: /^leaseMs/ },
    { options: {}, own: { weight: 101 }, error: /^weight/ },
  ])("checks what it is given: $error", async ({ options, own, error }) => {
    const { client, link } = scene();
    await expect(client.register({ ...offer, ...own }, options)).rejects.toThrow(error);
    expect(link.calls).toEqual([]);
  });

  it("gives up in time, says why, and leaves nothing", async () => {
    const { client, link, clock } = scene();
    link.before = () => {
      throw new ConnectError("not now", Code.Unavailable);
    };
    const late = expect(client.register(offer, { timeoutMs: 3_000 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
      rawMessage: "the host did not take relay within 3000 ms (last error: [unavailable] not now)",
    });
    await clock.advance(3_000);
    await late;
    await clock.advance(0);
    const made = link.calls.length;
    await clock.advance(60_000);
    expect({ more: link.calls.length - made, held: link.held, pending: clock.pending }).toEqual({
      more: 0,
      held: 0,
      pending: 0,
    });
  });

  it.each(["timeout", "signal", "close"])("takes back what the host has taken after the %s", async (why) => {
    const { client, link, clock } = scene();
    const { arrived, letGo } = gateAfter(link, "Register");
    const controller = new AbortController();
    const outcome = client.register(offer, { timeoutMs: 1_000, signal: controller.signal }).catch((reason) => reason);
    await arrived;
    const reason = new Error("given up");
    if (why === "timeout") await clock.advance(1_000);
    if (why === "signal") controller.abort(reason);
    const closing = why === "close" ? client.close() : undefined;
    letGo();
    const failure: unknown = await outcome;
    await closing;
    await clock.advance(0);
    expect({ held: link.registrations, listening: link.held, pending: clock.pending }).toEqual({
      held: [],
      listening: 0,
      pending: 0,
    });
    const isReason = { timeout: false, signal: true, close: false }[why];
    expect(failure === reason).toBe(isReason);
  });

  it("does nothing under a signal that has aborted", async () => {
    const { client, link } = scene();
    const reason = new Error("enough");
    await expect(client.register(offer, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(link.calls).toEqual([]);
  });
});

describe("discover", () => {
  it("says that a host found something, but not where", async () => {
    const { client } = scene();
    await client.register(offer);
    await expect(client.discover("relay")).rejects.toMatchObject({ code: Code.Internal });
  });
});

describe("close", () => {
  it("takes back all registrations, fails what comes later, and leaves nothing", async () => {
    const { client, link, clock } = scene();
    const kept = await client.register(offer);
    await client.register({ ...offer, type: "other" });
    const service = client.service(relay);
    const closing = client.close();
    expect(client.close()).toBe(closing);
    await closing;
    await kept.unregister();
    expect({ held: link.registrations, listening: link.held, pending: clock.pending }).toEqual({
      held: [],
      listening: 0,
      pending: 0,
    });
    const canceled = { code: Code.Canceled, rawMessage: "the registry client is closed" };
    await expect(client.register(offer)).rejects.toMatchObject(canceled);
    await expect(client.discover("relay")).rejects.toMatchObject(canceled);
    await expect(client.watch("relay").next()).rejects.toMatchObject(canceled);
    await expect(service.unary({})).rejects.toMatchObject(canceled);
    expect(() => client.service(relay)).toThrow("the registry client is closed");
  });
});
