import { describe, expect, it } from "vitest";
import { createListeners } from "./listeners.ts";

describe("createListeners", () => {
  it("tells everybody in turn until they leave; who came twice is told twice", () => {
    const listeners = createListeners<number>();
    const log: string[] = [];
    const listener = (event: number) => log.push(`${event}`);
    const leave = listeners.add(listener);
    listeners.add(listener);
    listeners.tell(1);
    leave();
    leave();
    listeners.tell(2);
    expect(log).toEqual(["1", "1", "2"]);
  });

  it("goes on when a listener throws or rejects", async () => {
    const listeners = createListeners<number>();
    const log: number[] = [];
    listeners.add(() => {
      throw new Error("oops");
    });
    listeners.add(async () => {
      throw new Error("later");
    });
    listeners.add((event) => log.push(event));
    listeners.tell(1);
    await new Promise((resolve) => setImmediate(resolve));
    listeners.tell(2);
    expect(log).toEqual([1, 2]);
  });

  it("all see one order, even when a listener causes the next event", () => {
    const listeners = createListeners<string>();
    const log: string[] = [];
    listeners.add((event) => {
      if (event === "first") listeners.tell("second");
    });
    listeners.add((event) => log.push(event));
    listeners.tell("first");
    expect(log).toEqual(["first", "second"]);
  });
});
