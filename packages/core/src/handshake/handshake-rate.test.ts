import { Code, ConnectError } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createHandshakeRate, type HandshakeKind, type HandshakeRate } from "./handshake-rate.ts";

function peer(address: string): Peer {
  return { network: "tcp", address, port: 1, tls: undefined };
}

function named(selfId: string): HandshakeKind {
  return { kind: "named", selfId };
}

/** How many of `count` handshakes get through; the others have to be told to wait. */
function admitted(rate: HandshakeRate, count: number, from: Peer, kind: HandshakeKind): number {
  let through = 0;
  for (let index = 0; index < count; index++) {
    try {
      rate.admit(from, kind);
      through++;
    } catch (error) {
      if (ConnectError.from(error).code !== Code.ResourceExhausted) throw error;
    }
  }
  return through;
}

const limits = { burst: 10, perSecond: 2, burstPerName: 3, perSecondPerName: 1 };

describe("handshake rate", () => {
  it("limits a name, with a retry delay after which it lets one through", async () => {
    const clock = new FakeClock();
    const rate = createHandshakeRate(limits, clock);
    const from = peer("127.0.0.1");
    expect(admitted(rate, 9, from, named("a"))).toBe(3);
    let refusal: unknown;
    try {
      rate.admit(from, named("a"));
    } catch (error) {
      refusal = error;
    }
    expect(ConnectError.from(refusal).metadata.get("retry-after")).toBe("1");
    await clock.advance(1_000);
    expect(admitted(rate, 9, from, named("a"))).toBe(1);
  });

  it("keeps one name, failures and anonymous clients from starving another name of the same address", () => {
    const rate = createHandshakeRate(limits, new FakeClock());
    const from = peer("127.0.0.1");
    admitted(rate, 1_000, from, named("crash-looping"));
    admitted(rate, 1_000, from, { kind: "failed" });
    admitted(rate, 1_000, from, { kind: "anonymous" });
    expect(admitted(rate, 3, from, named("well-behaved"))).toBe(3);
  });

  it("keeps failures from starving anonymous clients of the same address", () => {
    const rate = createHandshakeRate(limits, new FakeClock());
    const from = peer("127.0.0.1");
    admitted(rate, 1_000, from, { kind: "failed" });
    expect(admitted(rate, 10, from, { kind: "anonymous" })).toBe(7);
  });

  it("limits an address, whatever names it makes up, and no other address", () => {
    const rate = createHandshakeRate(limits, new FakeClock());
    let through = 0;
    for (let index = 0; index < 100; index++) through += admitted(rate, 1, peer("10.0.0.1"), named(`n${index}`));
    expect(through).toBe(10);
    expect(rate.size).toBe(11); // a refused handshake leaves no trace
    expect(admitted(rate, 3, peer("10.0.0.2"), named("n1"))).toBe(3);
  });

  it("remembers no more than it may", () => {
    const rate = createHandshakeRate({ ...limits, maxTracked: 20 }, new FakeClock());
    for (let index = 0; index < 500; index++) admitted(rate, 1, peer(`10.0.${index % 250}.1`), named(`n${index}`));
    expect(rate.size).toBe(20);
  });

  it.each([{ burst: 0 }, { perSecond: 0 }, { burstPerName: 0.5 }, { perSecondPerName: Number.NaN }, { maxTracked: 1 }])(
    "refuses the option %o",
    (options) => {
      expect(() => createHandshakeRate(options, new FakeClock())).toThrow(new RegExp(Object.keys(options).join()));
    },
  );
});
