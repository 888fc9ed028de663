import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createRegisterOrder } from "./register-order.ts";

describe("register order", () => {
  it("lets calls take effect in the order in which they began", () => {
    const order = createRegisterOrder();
    const [first, second, third] = [order.begin("a", "x"), order.begin("a", "x"), order.begin("a", "x")];
    expect(second.takeEffect()).toBe(true);
    expect(first.takeEffect()).toBe(false);
    expect(third.takeEffect()).toBe(true);
  });

  it("keeps other services and other providers apart", () => {
    const order = createRegisterOrder();
    const first = order.begin("a", "x");
    expect(order.begin("a", "y").takeEffect()).toBe(true);
    expect(order.begin("b", "x").takeEffect()).toBe(true);
    order.takenBack("b", "x");
    order.takenBack("c", "x");
    expect(first.takeEffect()).toBe(true);
  });

  it("lets nothing take effect that began before the service was taken back", () => {
    const order = createRegisterOrder();
    const before = order.begin("a", "x");
    order.takenBack("a", "x");
    const after = order.begin("a", "x");
    expect(before.takeEffect()).toBe(false);
    expect(after.takeEffect()).toBe(true);
  });

  it("has room for so many calls of one provider, and for as many again when they have ended", () => {
    const order = createRegisterOrder();
    for (let round = 0; round < 2; round++) {
      const turns = Array.from({ length: 100 }, (_, index) => order.begin("a", `t${index % 7}`));
      expect(() => order.begin("a", "more")).toThrow(expect.objectContaining({ code: Code.ResourceExhausted }));
      order.begin("b", "x").end();
      for (const turn of turns) turn.end();
    }
  });
});
