import { describe, expect, it } from "vitest";
import { createProbeTurns } from "./probe-turns.ts";

const never = new AbortController().signal;

describe("probe turns", () => {
  it("come in the order in which they were asked for, so many at a time", async () => {
    const turns = createProbeTurns(2);
    const order: number[] = [];
    const ends = [await turns.take(never), await turns.take(never)];
    const waiting = [1, 2, 3].map(async (number) => {
      const end = await turns.take(never);
      order.push(number);
      return end;
    });
    ends[0]?.();
    const first = await waiting[0];
    expect(order).toEqual([1]);
    first?.();
    first?.(); // once only
    (await waiting[1])?.();
    (await waiting[2])?.();
    expect(order).toEqual([1, 2, 3]);
  });

  it("pass over who has left", async () => {
    const turns = createProbeTurns(1);
    const end = await turns.take(never);
    const leaving = new AbortController();
    const left = turns.take(leaving.signal);
    const stays = turns.take(never);
    const reason = new Error("left");
    leaving.abort(reason);
    await expect(left).rejects.toBe(reason);
    end();
    (await stays)();
    await expect(turns.take(leaving.signal)).rejects.toBe(reason);
    (await turns.take(never))();
  });
});
