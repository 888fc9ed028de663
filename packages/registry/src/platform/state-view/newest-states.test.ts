import { describe, expect, it } from "vitest";
import { newestStates } from "./newest-states.ts";

function scene(signal?: AbortSignal) {
  let value = 0;
  const listeners = new Set<() => void>();
  const states = newestStates({
    read: () => value,
    follow(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    signal,
  });
  return {
    states: states[Symbol.asyncIterator](),
    listeners,
    set(next: number) {
      value = next;
      for (const listener of [...listeners]) listener();
    },
  };
}

describe("newestStates", () => {
  it("begins with the present state, follows nothing before, and tells each change to who keeps up", async () => {
    const { states, listeners, set } = scene();
    set(1);
    expect(listeners.size).toBe(0);
    expect(await states.next()).toEqual({ done: false, value: 1 });
    const next = states.next();
    set(2);
    expect(await next).toEqual({ done: false, value: 2 });
  });

  it("gives a slow reader the newest state, and never misses the last", async () => {
    const { states, set } = scene();
    await states.next();
    for (let value = 1; value <= 100; value++) set(value);
    expect(await states.next()).toEqual({ done: false, value: 100 });
    const next = states.next();
    set(101);
    expect(await next).toEqual({ done: false, value: 101 });
  });

  it("ends when its reader leaves, also while a read waits, and leaves nothing behind", async () => {
    const { states, listeners } = scene();
    await states.next();
    const waiting = states.next();
    await states.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(listeners.size).toBe(0);
  });

  it.each(["before", "while a read waits", "between two reads"])(
    "ends with the reason of its signal: %s",
    async (when) => {
      const controller = new AbortController();
      const reason = new Error("enough");
      const { states, listeners } = scene(controller.signal);
      if (when === "before") controller.abort(reason);
      else await states.next();
      const waiting = when === "while a read waits" ? states.next() : undefined;
      controller.abort(reason);
      expect(listeners.size).toBe(0);
      await expect(waiting ?? states.next()).rejects.toBe(reason);
    },
  );
});
