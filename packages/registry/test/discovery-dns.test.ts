import { Code, ConnectError } from "@connectrpc/connect";
import { createPluginClient, definePlugin, serve } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import type { Clock } from "@cpg/resilience";
import { FakeClock, seededRandom } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { type DnsAddressOptions, type DnsSrvOptions, dnsEndpoints } from "../src/index.ts";
import { a, aaaa, srv, startDnsServer } from "./support/dns-server.ts";

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });
const name = "kv.test";
const srvName = "_kv._tcp.test";

/** Bound on look-ups; no pause of these tests is as long. */
const timeoutMs = 5_555;

async function startDns() {
  const dns = await startDnsServer();
  const clock = new FakeClock();
  const errors: ConnectError[] = [];
  const pauses: number[] = [];
  let look = () => {};
  /** Tells pauses from the bounds on look-ups. */
  const noting: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep(ms, signal) {
      const sleeping = clock.sleep(ms, signal);
      if (ms !== timeoutMs) pauses.push(ms);
      look();
      return sleeping;
    },
  };
  const onError = (error: ConnectError) => errors.push(error);
  const common = { servers: dns.servers, timeoutMs, clock: noting, random: seededRandom(1), onError };
  return {
    ...dns,
    clock,
    errors,
    /** In ms, between the look-ups of a watch. */
    pauses,
    whenPaused: (count: number): Promise<void> =>
      new Promise((resolve) => {
        look = () => {
          if (pauses.length >= count) resolve();
        };
        look();
      }),
    addresses: (options: Partial<DnsAddressOptions> = {}) => dnsEndpoints({ ...common, name, port: 80, ...options }),
    targets: (options: Partial<DnsSrvOptions> = {}) => dnsEndpoints({ ...common, name: srvName, ...options }),
    [Symbol.asyncDispose]: () => dns[Symbol.asyncDispose](),
  };
}

function failureOf(promise: Promise<unknown>): Promise<ConnectError> {
  return promise.then(
    () => {
      throw new Error("it succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** Reads a watch; fails the test in which it leaves a timer behind. */
function read(discovery: ReturnType<typeof dnsEndpoints>, clock: FakeClock) {
  const lists = discovery.watch()[Symbol.asyncIterator]();
  return {
    next: async () => (await lists.next()).value as readonly string[] | undefined,
    async [Symbol.asyncDispose]() {
      await lists.return?.();
      expect(clock.pending).toBe(0);
    },
  };
}

describe("addresses", () => {
  it("of both kinds are endpoints at the port, those of IPv4 first, each once", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1"), a(name, "10.0.0.2"), a(name, "10.0.0.1")]);
    dns.zone.set(`AAAA ${name}`, [aaaa(name, "2001:db8::1")]);
    const found = await dns.addresses({ port: 8080, path: "/base" }).discover();
    expect(found.toSorted()).toEqual([
      "http://10.0.0.1:8080/base",
      "http://10.0.0.2:8080/base",
      "http://[2001:db8::1]:8080/base",
    ]);
    expect(found[2]).toBe("http://[2001:db8::1]:8080/base");
  });

  it.each([
    { family: 4 as const, expected: ["https://10.0.0.1:443"], asked: `A ${name}` },
    { family: 6 as const, expected: ["https://[2001:db8::1]:443"], asked: `AAAA ${name}` },
  ])("of IPv$family only are asked for when told so", async ({ family, expected, asked }) => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1")]);
    dns.zone.set(`AAAA ${name}`, [aaaa(name, "2001:db8::1")]);
    expect(await dns.addresses({ family, scheme: "https", port: 443 }).discover()).toEqual(expected);
    expect(dns.asked).toEqual([asked]);
  });

  it("come in an order of their own for each client", async () => {
    await using dns = await startDns();
    const addresses = [1, 2, 3, 4, 5, 6, 7, 8].map((last) => `10.0.0.${last}`);
    dns.zone.set(
      `A ${name}`,
      addresses.map((address) => a(name, address)),
    );
    const orders = new Set<string>();
    for (const seed of [1, 2, 3, 4]) {
      const found = await dns.addresses({ random: seededRandom(seed) }).discover();
      orders.add(found.join());
      expect(found.toSorted()).toEqual(addresses.map((address) => `http://${address}:80`));
    }
    expect(orders.size).toBeGreaterThan(1);
  });

  it("too many for one datagram come over TCP; a hundred are used", async () => {
    await using dns = await startDns();
    const addresses = Array.from({ length: 120 }, (_, index) => a(name, `10.0.0.${index + 1}`));
    dns.zone.set(`A ${name}`, addresses);
    expect(await dns.addresses({ family: 4 }).discover()).toHaveLength(100);
  });

  it.each([
    { what: "name that does not exist", zone: [] },
    { what: "name without addresses", zone: [[`TXT ${name}`, []] as const] },
  ])("of a $what are none", async ({ zone }) => {
    await using dns = await startDns();
    for (const [key, answer] of zone) dns.zone.set(key, answer);
    expect(await dns.addresses().discover()).toEqual([]);
  });

  it("of one kind are enough when the server fails on the other", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1")]);
    dns.zone.set(`AAAA ${name}`, "SERVFAIL");
    expect(await dns.addresses().discover()).toEqual(["http://10.0.0.1:80"]);
  });

  it("that nobody can tell are an error, not an empty list", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, "SERVFAIL");
    dns.zone.set(`AAAA ${name}`, []);
    const error = await failureOf(dns.addresses().discover());
    expect([error.code, error.rawMessage]).toEqual([Code.Unavailable, `cannot find out about ${name}: ESERVFAIL`]);
  });
});

describe("a look-up", () => {
  it("without an answer ends within its bound, and leaves no timer", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, "silence");
    const failure = failureOf(dns.addresses().discover());
    await dns.whenAsked(`A ${name}`);
    await dns.clock.advance(timeoutMs);
    const error = await failure;
    expect([error.code, error.rawMessage]).toEqual([
      Code.Unavailable,
      `no answer about ${name} within ${timeoutMs} ms`,
    ]);
    expect(dns.clock.pending).toBe(0);
  });

  it("ends with the reason of its signal", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, "silence");
    const caller = new AbortController();
    const found = dns.addresses().discover({ signal: caller.signal });
    await dns.whenAsked(`A ${name}`);
    caller.abort("enough");
    await expect(found).rejects.toBe("enough");
    await expect(dns.addresses().discover({ signal: caller.signal })).rejects.toBe("enough");
    expect(dns.clock.pending).toBe(0);
  });
});

describe("a watch of addresses", () => {
  it.each([
    { ttls: [20, 7, 90], bounds: {}, freshMs: 7_000 },
    { ttls: [0], bounds: {}, freshMs: 1_000 },
    { ttls: [1], bounds: { minTtlMs: 5_000 }, freshMs: 5_000 },
    { ttls: [86_400], bounds: {}, freshMs: 300_000 },
    { ttls: [60], bounds: { maxTtlMs: 2_000 }, freshMs: 2_000 },
  ])("looks again when the shortest TTL of $ttls s is over, within $bounds: after $freshMs ms", async (row) => {
    await using dns = await startDns();
    const records = row.ttls.map((ttl, index) => a(name, `10.0.0.${index + 1}`, ttl));
    dns.zone.set(`A ${name}`, records);
    await using lists = read(dns.addresses(row.bounds), dns.clock);
    await lists.next();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.9")]);
    const next = lists.next();
    await dns.whenPaused(1);
    expect(dns.pauses).toEqual([row.freshMs]);
    await dns.clock.advance(row.freshMs);
    expect(await next).toEqual(["http://10.0.0.9:80"]);
  });

  it("counts the TTL from the answer on, however long its reader takes", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1", 60)]);
    await using lists = read(dns.addresses(), dns.clock);
    await lists.next();
    await dns.clock.advance(100_000);
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.2")]);
    const next = lists.next();
    await dns.whenPaused(1);
    await dns.clock.advance(0);
    expect(await next).toEqual(["http://10.0.0.2:80"]);
  });

  it("says nothing while they stay the same, in whatever order the server tells them", async () => {
    await using dns = await startDns();
    const [one, two, three] = [a(name, "10.0.0.1"), a(name, "10.0.0.2"), a(name, "10.0.0.3")];
    dns.zone.set(`A ${name}`, [one, two]);
    await using lists = read(dns.addresses(), dns.clock);
    expect(await lists.next()).toHaveLength(2);
    dns.zone.set(`A ${name}`, [two, one]);
    const next = lists.next();
    await dns.whenPaused(1);
    await dns.clock.advance(60_000);
    await dns.whenPaused(2);
    dns.zone.set(`A ${name}`, [three]);
    await dns.clock.advance(60_000);
    expect(await next).toEqual(["http://10.0.0.3:80"]);
  });

  it("tells that the name is gone, and that it is back", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1")]);
    await using lists = read(dns.addresses(), dns.clock);
    await lists.next();
    dns.zone.clear();
    const gone = lists.next();
    await dns.whenPaused(1);
    await dns.clock.advance(60_000);
    expect(await gone).toEqual([]);
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1")]);
    const back = lists.next();
    await dns.whenPaused(2);
    expect(dns.pauses[1]).toBeLessThanOrEqual(1_000);
    await dns.clock.advance(1_000);
    expect(await back).toEqual(["http://10.0.0.1:80"]);
    expect(dns.errors).toEqual([]);
  });

  it("keeps what it knew through failures, tells them, and asks less and less often until it is better", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1", 1)]);
    await using lists = read(dns.addresses({ family: 4, retryMs: [1_000, 4_000] }), dns.clock);
    await lists.next();
    dns.zone.set(`A ${name}`, "SERVFAIL");
    const next = lists.next();
    for (const count of [1, 2, 3, 4, 5]) {
      await dns.whenPaused(count);
      expect(dns.errors).toHaveLength(count - 1);
      await dns.clock.advance(dns.pauses[count - 1] ?? 0);
    }
    await dns.whenPaused(6);
    for (const [index, most] of [1_000, 1_000, 2_000, 4_000, 4_000].entries()) {
      expect(dns.pauses[index]).toBeGreaterThanOrEqual(most / 2);
      expect(dns.pauses[index]).toBeLessThanOrEqual(most);
    }
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.2")]);
    await dns.clock.advance(4_000);
    expect(await next).toEqual(["http://10.0.0.2:80"]);

    // The next time it begins with short pauses again.
    dns.zone.set(`A ${name}`, "SERVFAIL");
    const later = lists.next();
    await dns.whenPaused(7);
    await dns.clock.advance(60_000);
    await dns.whenPaused(8);
    expect(dns.pauses[7]).toBeLessThanOrEqual(1_000);
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.3")]);
    await dns.clock.advance(1_000);
    expect(await later).toEqual(["http://10.0.0.3:80"]);
  });

  it("ends with the reason of its signal, also while it looks up", async () => {
    await using dns = await startDns();
    dns.zone.set(`A ${name}`, [a(name, "10.0.0.1")]);
    const caller = new AbortController();
    const lists = dns.addresses().watch({ signal: caller.signal })[Symbol.asyncIterator]();
    await lists.next();
    dns.zone.set(`A ${name}`, "silence");
    const next = lists.next();
    await dns.whenPaused(1);
    const asked = dns.whenAsked(`A ${name}`, 2);
    await dns.clock.advance(60_000);
    await asked;
    caller.abort("enough");
    await expect(next).rejects.toBe("enough");
    expect(await lists.next()).toEqual({ done: true, value: undefined });
    expect([dns.clock.pending, dns.errors]).toEqual([0, []]);
  });
});

describe("SRV records", () => {
  it("are tried by priority; their targets are looked up where the records are", async () => {
    await using dns = await startDns();
    dns.zone.set(`SRV ${srvName}`, [
      srv(srvName, "backup.test", 8002, 20),
      srv(srvName, "main.test", 8001, 10),
      srv(srvName, "main.test", 8000, 5),
    ]);
    dns.zone.set("A main.test", [a("main.test", "10.0.0.1")]);
    dns.zone.set("A backup.test", [a("backup.test", "10.0.0.2")]);
    dns.zone.set("AAAA backup.test", [aaaa("backup.test", "2001:db8::2")]);
    expect(await dns.targets().discover()).toEqual([
      "http://10.0.0.1:8000",
      "http://10.0.0.1:8001",
      "http://10.0.0.2:8002",
      "http://[2001:db8::2]:8002",
    ]);
  });

  it("of one priority are tried first as often as their weight says", async () => {
    await using dns = await startDns();
    dns.zone.set(`SRV ${srvName}`, [srv(srvName, "light.test", 1, 0, 10), srv(srvName, "heavy.test", 2, 0, 90)]);
    dns.zone.set("A light.test", [a("light.test", "10.0.0.1")]);
    dns.zone.set("A heavy.test", [a("heavy.test", "10.0.0.2")]);
    const discovery = dns.targets();
    let heavy = 0;
    for (let run = 0; run < 100; run++) {
      const [first] = await discovery.discover();
      if (first === "http://10.0.0.2:2") heavy++;
    }
    expect(heavy).toBeGreaterThan(75);
    expect(heavy).toBeLessThan(100);
  });

  it("are names with https, for the certificate names them", async () => {
    await using dns = await startDns();
    dns.zone.set(`SRV ${srvName}`, [srv(srvName, "main.test", 443)]);
    expect(await dns.targets({ scheme: "https" }).discover()).toEqual(["https://main.test:443"]);
    expect(dns.asked).toEqual([`SRV ${srvName}`]);
  });

  it("with the target . say that there is none", async () => {
    await using dns = await startDns();
    dns.zone.set(`SRV ${srvName}`, [srv(srvName, ".", 0)]);
    expect(await dns.targets().discover()).toEqual([]);
  });

  it.each([{ answer: "SERVFAIL" as const }, { answer: [] }])(
    "of which one target cannot be found ($answer) still tell the others",
    async ({ answer }) => {
      await using dns = await startDns();
      dns.zone.set(`SRV ${srvName}`, [srv(srvName, "main.test", 1), srv(srvName, "other.test", 2)]);
      dns.zone.set("A main.test", [a("main.test", "10.0.0.1")]);
      dns.zone.set("A other.test", answer);
      dns.zone.set("AAAA other.test", answer);
      expect(await dns.targets().discover()).toEqual(["http://10.0.0.1:1"]);
    },
  );

  it("of which no target can be found out are an error", async () => {
    await using dns = await startDns();
    dns.zone.set(`SRV ${srvName}`, [srv(srvName, "main.test", 1)]);
    dns.zone.set("A main.test", "SERVFAIL");
    dns.zone.set("AAAA main.test", "SERVFAIL");
    expect((await failureOf(dns.targets().discover())).rawMessage).toBe(`cannot find out about ${srvName}: ESERVFAIL`);
  });

  it.each([
    { options: {}, refreshMs: 30_000 },
    { options: { refreshMs: 2_000 }, refreshMs: 2_000 },
  ])("are looked up again every $refreshMs ms; a new weight, too, is a change", async ({ options, refreshMs }) => {
    await using dns = await startDns();
    dns.zone.set(`SRV ${srvName}`, [srv(srvName, "main.test", 1, 0, 1)]);
    dns.zone.set("A main.test", [a("main.test", "10.0.0.1", 1)]);
    await using lists = read(dns.targets(options), dns.clock);
    expect(await lists.next()).toEqual(["http://10.0.0.1:1"]);
    const next = lists.next();
    await dns.whenPaused(1);
    await dns.clock.advance(refreshMs);
    await dns.whenPaused(2);
    expect(dns.pauses).toEqual([refreshMs, refreshMs]);
    dns.zone.set(`SRV ${srvName}`, [srv(srvName, "main.test", 1, 0, 2)]);
    await dns.clock.advance(refreshMs);
    expect(await next).toEqual(["http://10.0.0.1:1"]);
  });
});

describe("a client", () => {
  it("finds servers by SRV records, and goes on to the next when the first is gone", async () => {
    await using dns = await startDns();
    const serveOn = (port: number) =>
      serve({
        plugins: { logger },
        impls: { logger: { log: () => ({}) } },
        listen: { port },
        link: false,
        handleSignals: false,
        environment: {},
      });
    const main = await serveOn(0);
    await using backup = await serveOn(0);
    const portOf = ({ endpoint }: { endpoint: string }) => Number(new URL(endpoint).port);
    dns.zone.set("A local.test", [a("local.test", "127.0.0.1")]);
    dns.zone.set(`SRV ${srvName}`, [
      srv(srvName, "local.test", portOf(main), 1),
      srv(srvName, "local.test", portOf(backup), 2),
    ]);
    await using client = createPluginClient({ endpoint: dns.targets(), plugins: { logger } });
    const log = await client.dispense("logger");
    await log.log({ message: "one" });
    expect((await client.connect()).endpoint).toBe(`http://127.0.0.1:${portOf(main)}`);
    await main.close({ graceMs: 0 });
    await log.log({ message: "two" });
    expect((await client.connect()).endpoint).toBe(`http://127.0.0.1:${portOf(backup)}`);
  });
});
