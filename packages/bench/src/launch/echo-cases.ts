import assert from "node:assert/strict";
import { equals } from "@bufbuild/protobuf";
import { type Item, ItemSchema } from "../gen/bench/v1/echo_pb.ts";
import type { Case, TimedCase } from "../table.ts";
import { lanes, measureNames } from "./echo-measures.ts";
import { largeItem, listItems, listLength, smallItem } from "./item.ts";
import { runLanes } from "./run-lanes.ts";

/** Calls that are measured, whatever they travel over. */
export interface EchoCalls<Message extends HasValue> {
  echo(message: Message): Promise<Message>;
  readonly small: Message;
  readonly large: Message;
  isSame(answer: Message, message: Message): boolean;
}

/** What is looked at in every answer. */
interface HasValue {
  readonly value: { readonly length: number };
}

/** Where the calls are answered: "here", in this process, one at a time; or "elsewhere", where many at a time matter too. */
export type Answered = "here" | "elsewhere";

/** Echo and stream, of variants that speak protobuf. */
export function itemCases(
  client: { echo(item: Item): Promise<Item>; list(request: { count: number }): AsyncIterable<Item> },
  answered: Answered,
): Map<string, Case> {
  const cases = echoCases(
    {
      echo: (item) => client.echo(item),
      small: smallItem,
      large: largeItem,
      isSame: (answer, item) => equals(ItemSchema, answer, item),
    },
    answered,
  );
  return cases.set(
    measureNames.list,
    listCase(() => client.list({ count: listLength })),
  );
}

/** Echo alone, of variants whatever they speak. */
export function echoCases<Message extends HasValue>(calls: EchoCalls<Message>, answered: Answered): Map<string, Case> {
  const cases = new Map<string, Case>([
    [measureNames.small, echoCase(calls, calls.small)],
    [measureNames.large, echoCase(calls, calls.large)],
  ]);
  if (answered === "elsewhere") {
    cases.set(measureNames.smallLanes, lanesCase(calls, calls.small));
    cases.set(measureNames.largeLanes, lanesCase(calls, calls.large));
  }
  return cases;
}

function echoCase<Message extends HasValue>({ echo, isSame }: EchoCalls<Message>, message: Message): TimedCase {
  return {
    kind: "timed",
    check: async () => assert(isSame(await echo(message), message), "the answer is not the request"),
    async run(calls) {
      let bytes = 0;
      for (let call = 0; call < calls; call++) bytes += (await echo(message)).value.length;
      assert.equal(bytes, calls * message.value.length, "the answers are not as long as the requests");
    },
  };
}

function lanesCase<Message extends HasValue>({ echo, isSame }: EchoCalls<Message>, message: Message): TimedCase {
  return {
    kind: "timed",
    async check() {
      const answers = await Promise.all(Array.from({ length: lanes }, () => echo(message)));
      for (const answer of answers) assert(isSame(answer, message), "the answer is not the request");
    },
    async run(calls) {
      let bytes = 0;
      await runLanes(calls, lanes, async () => {
        const { value } = await echo(message); // apart: `bytes` is read after the wait
        bytes += value.length;
      });
      assert.equal(bytes, calls * message.value.length, "the answers are not as long as the requests");
    },
    leastCalls: 4 * lanes,
  };
}

function listCase(list: () => AsyncIterable<Item>): TimedCase {
  return {
    kind: "timed",
    async check() {
      const items: Item[] = [];
      for await (const item of list()) items.push(item);
      assert.equal(items.length, listLength, "the stream has another length");
      for (const [index, item] of listItems.entries()) {
        const received = items[index];
        assert(received && equals(ItemSchema, received, item), `item ${index + 1} is another one`);
      }
    },
    async run(calls) {
      for (let call = 0; call < calls; call++) {
        let bytes = 0;
        for await (const item of list()) bytes += item.value.length;
        assert.equal(bytes, listBytes, "the stream is not as long as it should be");
      }
    },
  };
}

const listBytes = listItems.reduce((bytes, { value }) => bytes + value.length, 0);
