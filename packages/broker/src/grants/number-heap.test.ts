import fc from "fast-check";
import { expect, it } from "vitest";
import { createNumberHeap } from "./number-heap.ts";

it("gives out what was put in, from the least", () => {
  const step = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant("take" as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = createNumberHeap();
      const model: number[] = [];
      for (const step of steps) {
        const taken = step === "take" ? heap.takeLeast() : undefined;
        const expected = step === "take" ? model.shift() : undefined;
        if (step !== "take") {
          heap.add(step);
          model.push(step);
          model.sort((a, b) => a - b);
        }
        expect([taken, heap.least]).toEqual([expected, model[0]]);
      }
    }),
  );
});
