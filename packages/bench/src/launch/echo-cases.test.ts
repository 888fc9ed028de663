import { clone, create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Item, ItemSchema } from "../gen/bench/v1/echo_pb.ts";
import type { TimedCase } from "../table.ts";
import { type Answered, itemCases } from "./echo-cases.ts";
import { lanes, measureNames } from "./echo-measures.ts";
import { echoService } from "./echo-service.ts";
import { listItems } from "./item.ts";

function timedCase(measure: string, overrides: Partial<typeof echoService>): TimedCase {
  const work = itemCases({ ...echoService, ...overrides }, "elsewhere").get(measure);
  if (work?.kind !== "timed") throw new Error(`no timed case for ${measure}`);
  return work;
}

const changed = (item: Item, field: Partial<Item>): Item => Object.assign(clone(ItemSchema, item), field);

describe("itemCases", () => {
  it.each(Object.values(measureNames))("%s takes right answers", async (measure) => {
    const work = timedCase(measure, { echo: async (item) => clone(ItemSchema, item) });
    await work.check();
    await work.run(2);
  });

  it("has many calls at a time only where they are answered elsewhere", () => {
    const { small, large, list, smallLanes, largeLanes } = measureNames;
    const measures = (answered: Answered) => new Set(itemCases(echoService, answered).keys());
    expect(measures("here")).toEqual(new Set([small, large, list]));
    expect(measures("elsewhere")).toEqual(new Set([small, large, list, smallLanes, largeLanes]));
  });

  const echoMeasures = [measureNames.small, measureNames.large, measureNames.smallLanes, measureNames.largeLanes];

  it.each(echoMeasures)("%s: the check refuses an answer with any field changed", async (measure) => {
    for (const field of [{ key: "other" }, { revision: 1n }, { tags: [] }]) {
      const work = timedCase(measure, { echo: async (item) => changed(item, field) });
      await expect(work.check()).rejects.toThrow("the answer is not the request");
    }
  });

  it.each(echoMeasures)("%s: a batch refuses one answer that is too short", async (measure) => {
    let calls = 0;
    const work = timedCase(measure, {
      echo: async (item) => (++calls === 5 ? create(ItemSchema) : item),
    });
    await expect(work.run(10)).rejects.toThrow("the answers are not as long as the requests");
  });

  it.each([measureNames.smallLanes, measureNames.largeLanes])("%s: has all lanes busy", async (measure) => {
    let inFlight = 0;
    let most = 0;
    const work = timedCase(measure, {
      async echo(item) {
        most = Math.max(most, ++inFlight);
        await Promise.resolve();
        inFlight--;
        return item;
      },
    });
    await work.run(work.leastCalls ?? 0);
    expect(most).toBe(lanes);
  });

  it.each<{ name: string; list: typeof echoService.list; check: string }>([
    {
      name: "that ends early",
      list: ({ count }) => echoService.list({ count: count - 1 }),
      check: "the stream has another length",
    },
    {
      name: "with an item twice",
      async *list() {
        yield* listItems.slice(0, 1);
        yield* listItems.slice(0, -1);
      },
      check: "item 2 is another one",
    },
  ])("the check refuses a stream $name", async ({ list, check }) => {
    await expect(timedCase(measureNames.list, { list }).check()).rejects.toThrow(check);
  });

  it("a batch refuses a stream that ends early", async () => {
    const work = timedCase(measureNames.list, { list: ({ count }) => echoService.list({ count: count - 1 }) });
    await expect(work.run(1)).rejects.toThrow("the stream is not as long as it should be");
  });
});
