import { getEventListeners } from "node:events";
import { Code } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { FakeLink } from "../../test/support/fake-link.ts";
import { createLinkPauses } from "./link-pauses.ts";

function scene() {
  const link = new FakeLink();
  const clock = new FakeClock();
  const controller = new AbortController();
  const backoff = { initialMs: 100, maxMs: 1_000, jitter: "none" } as const;
  const pauses = createLinkPauses({ link, backoff, random: () => 0, clock });
  const left = () => ({
    listeners: getEventListeners(controller.signal, "abort").length,
    held: link.held,
    pending: clock.pending,
  });
  return { link, clock, controller, pauses, left };
}

const nothing = { listeners: 0, held: 0, pending: 0 };

describe("a pause", () => {
  it.each(["time", "another identity", "its signal"])("ends by %s, and leaves nothing behind", async (by) => {
    const { link, clock, controller, pauses, left } = scene();
    const reason = new Error("enough");
    const pause = pauses.atMost(500, controller.signal).then(
      () => "over",
      (given: unknown) => given,
    );
    expect(left()).toEqual({ listeners: 1, held: 1, pending: 1 });
    if (by === "time") await clock.advance(500);
    if (by === "another identity") link.takeIdentity("plugin-2");
    if (by === "its signal") controller.abort(reason);
    expect(await pause).toBe(by === "its signal" ? reason : "over");
    expect(left()).toEqual(nothing);
  });

  it("after a failure lasts as long as the link is down, and begins with the first delay after a success", async () => {
    const { link, clock, controller, pauses, left } = scene();
    const delays: number[] = [];
    const retry = async (): Promise<void> => {
      const pause = pauses.retry(controller.signal);
      delays.push(clock.nextDueMs ?? -1);
      await clock.advance(clock.nextDueMs ?? 0);
      await pause;
    };
    await retry();
    await retry();
    pauses.reset();
    await retry();
    expect(delays).toEqual([100, 200, 100]);
    link.goDown();
    const down = pauses.retry(controller.signal);
    await clock.advance(60_000);
    link.comeBack();
    await down;
    expect(left()).toEqual(nothing);
  });

  it("fails when the link is closed, or its signal has aborted", async () => {
    const { link, controller, pauses } = scene();
    link.close();
    await expect(pauses.retry(controller.signal)).rejects.toMatchObject({ code: Code.Unavailable });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(pauses.whenUp(controller.signal)).rejects.toBe(reason);
    await expect(pauses.atMost(1, controller.signal)).rejects.toBe(reason);
  });
});
