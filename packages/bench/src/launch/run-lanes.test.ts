import { describe, expect, it } from "vitest";
import { runLanes } from "./run-lanes.ts";

describe("runLanes", () => {
  it.each([
    { calls: 0, most: 0 },
    { calls: 3, most: 3 },
    { calls: 20, most: 4 },
  ])("makes $calls calls, $most of them at a time", async ({ calls, most }) => {
    let made = 0;
    let inFlight = 0;
    let seen = 0;
    await runLanes(calls, 4, async () => {
      made++;
      inFlight++;
      seen = Math.max(seen, inFlight);
      await Promise.resolve();
      inFlight--;
    });
    expect({ made, seen, inFlight }).toEqual({ made: calls, seen: most, inFlight: 0 });
  });

  it("begins no call after one failed, and rejects with its reason", async () => {
    let made = 0;
    const run = runLanes(1_000, 4, async () => {
      made++;
      await Promise.resolve();
      throw new Error("wrong answer");
    });
    await expect(run).rejects.toThrow("wrong answer");
    expect(made).toBe(4);
  });
});
