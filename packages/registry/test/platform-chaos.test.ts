import { env } from "node:process";
import { describe, expect, it } from "vitest";
import { type FormerRun, livingOf, observed, predicted, whenQuiet } from "./chaos/chaos-agreement.ts";
import { createChaosModel } from "./chaos/chaos-model.ts";
import { startChaosScene } from "./chaos/chaos-scene.ts";
import { type ChaosStep, drawFrom, drawStep, operationsOf } from "./chaos/chaos-steps.ts";

const stepsOfRound = 250;
const { FC_SEED = "1" } = env;
const seed = Number(FC_SEED);

describe(`a platform in chaos; FC_SEED=${seed} repeats it`, () => {
  it.concurrent.each([
    { round: "first", offset: 0 },
    { round: "second", offset: 1 },
  ])("is as its model after each of 250 steps, $round round", { timeout: 600_000 }, async ({ offset }) => {
    await using scene = await startChaosScene();
    const model = createChaosModel();
    const draw = drawFrom(seed + offset);
    const last: string[] = [];
    try {
      for (let count = 1; count <= stepsOfRound; count++) {
        const step: ChaosStep =
          count === 1 ? { kind: "one", operation: { kind: "add-missing", minor: 1 } } : drawStep(draw);
        const before = scene.platform.plugins();
        const expected = model.perform(step);
        if (last.push(`${count}: ${JSON.stringify(step)} -> ${JSON.stringify(expected)}`) > 12) last.shift();
        expect(await scene.perform(step, expected)).toEqual(expected);
        await whenQuiet(scene, model);
        const former = before.flatMap(({ id, runtimeId }): FormerRun[] => {
          const isThere = scene.platform.plugins().some((plugin) => plugin.runtimeId === runtimeId);
          if (runtimeId === undefined || isThere || step.kind === "kill") return [];
          const isReplaced = operationsOf(step).some(
            (operation, index) => operation.kind === "replace" && operation.id === id && expected[index] === "replaced",
          );
          return [{ id, runtimeId, succeeded: isReplaced }];
        });
        // All of them by name now and then; each time those that are new.
        const known = new Set(count % 10 === 0 ? [] : before.map(({ runtimeId }) => runtimeId));
        const fresh = scene.platform.plugins().filter(({ runtimeId }) => !known.has(runtimeId));
        const questions = { former, asked: new Set(fresh.map(({ id }) => id)) };
        const seen = await observed(scene, questions);
        expect(seen).toEqual(predicted(model, seen, questions));
      }
      last.push("the end: close");
      await scene.close();
      expect(await livingOf(scene.roll)).toEqual([]);
    } catch (reason) {
      throw new Error(`FC_SEED=${seed}, ${offset} added. The last steps, oldest first:\n${last.join("\n")}`, {
        cause: reason,
      });
    }
  });
});
