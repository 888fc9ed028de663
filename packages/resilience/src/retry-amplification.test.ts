import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RepeatableService } from "../test/fixtures/repeatable-service.ts";
import { retry } from "./retry.ts";
import type { RetryOptions } from "./retry-options.ts";
import { FakeClock, seededRandom } from "./testing/index.ts";

/** A chain of services, each of which calls the next one with retry; the last can be down. */
function setUp(budget: RetryOptions["budget"]) {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const last = { down: false, requests: 0 };
  type Get = (message: { value: string }) => Promise<{ value: string }>;
  const hop = (get: Get): Get => {
    const transport = createRouterTransport((router) => router.service(RepeatableService, { get }), {
      transport: { interceptors: [retry({ clock, random, budget })] },
    });
    const client = createClient(RepeatableService, transport);
    return (message) => client.get(message);
  };
  const get = hop(
    hop(
      hop(async (message) => {
        last.requests += 1;
        if (last.down) throw new ConnectError("down", Code.Unavailable);
        return message;
      }),
    ),
  );

  /** `count` calls, one every 10 ms, and what became of them. */
  async function call(count: number) {
    const before = last.requests;
    let failed = 0;
    const calls: Promise<unknown>[] = [];
    for (let index = 0; index < count; index++) {
      calls.push(get({ value: `${index}` }).catch(() => failed++));
      await clock.advance(10);
    }
    // More than all waits of a call together, three hops deep.
    for (let turn = 0; turn < 100; turn++) await clock.advance(100);
    await Promise.all(calls);
    return { amplification: (last.requests - before) / count, failed };
  }
  return { call, last, clock };
}

describe("three hops, each with retry, and an outage of the last", () => {
  it("without budgets each call becomes 27 requests", async () => {
    const { call, last, clock } = setUp(false);
    last.down = true;
    expect(await call(10)).toEqual({ amplification: 27, failed: 10 });
    expect(clock.pending).toBe(0);
  });

  it("with budgets the last hop gets no more than 1.2 requests per call once they are spent, and retries come back", async () => {
    const { call, last, clock } = setUp(undefined);
    expect(await call(50)).toEqual({ amplification: 1, failed: 0 });
    last.down = true;
    const beginning = await call(100);
    expect(beginning.failed).toBe(100);
    expect(beginning.amplification).toBeLessThan(4);
    const spent = await call(500);
    expect(spent.failed).toBe(500);
    expect(spent.amplification).toBeLessThanOrEqual(1.2);
    last.down = false;
    expect(await call(1_100)).toEqual({ amplification: 1, failed: 0 });
    last.down = true;
    expect((await call(10)).amplification).toBeGreaterThan(1);
    expect(clock.pending).toBe(0);
  });
});
