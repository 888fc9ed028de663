import { describe, expect, it } from "vitest";
import { createHandshakeTurns } from "./handshake-turns.ts";

const { signal } = new AbortController();

describe("turns until a handshake", () => {
  it("of one name come one after the other, in the order in which they were asked for; those of others at once", async () => {
    const turns = createHandshakeTurns();
    const log: string[] = [];
    const take = async (selfId: string, text: string) => {
      const end = await turns.take(selfId, signal);
      log.push(text);
      return end;
    };
    const end = await take("kv", "first");
    const second = take("kv", "second");
    const third = take("kv", "third");
    await take("log", "other");
    expect(log).toEqual(["first", "other"]);
    end();
    end(); // once more has no effect
    (await second)();
    (await third)();
    expect(log).toEqual(["first", "other", "second", "third"]);
  });

  it("are left by those that give up, and are free again then", async () => {
    const turns = createHandshakeTurns();
    const patience = new AbortController();
    const end = await turns.take("kv", signal);
    const given = turns.take("kv", patience.signal);
    const reason = new Error("no longer wanted");
    patience.abort(reason);
    await expect(given).rejects.toBe(reason);
    end();
    (await turns.take("kv", signal))();
  });
});
