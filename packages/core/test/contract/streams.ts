import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { collect } from "../support/collect.ts";
import type { StepInit } from "./contract-messages.ts";
import { createFeed } from "./feed.ts";
import { stream } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";
import { countOf, roundTrips, seen } from "./witnessed.ts";

const messageBytes = 32 * 1024;
const manyMessages = 1_500; // 48 MiB: more than any socket holds
const data = new Uint8Array(messageBytes);

export const streamCases: readonly ContractCase[] = [
  {
    title: "each message gets its answer while the stream is open",
    bidi: true,
    async run({ contract }) {
      const feed = createFeed<StepInit>();
      const answers = contract.bidiStream(feed)[Symbol.asyncIterator]();
      for (const text of ["ping", "pong", "ping again"]) {
        feed.push({ text });
        expect((await answers.next()).value?.text).toBe(text);
      }
      feed.end();
      expect((await answers.next()).done).toBe(true);
    },
  },
  {
    title: "the end of the requests is told, and answers go on after it",
    bidi: true,
    async run({ contract }) {
      const answers = await collect(contract.bidiStream(stream({ text: "a", act: "tell the end" }, { text: "b" })));
      expect(answers.map(({ text, count }) => [text, count])).toEqual([
        ["a", 0],
        ["b", 0],
        ["end", 2],
      ]);
    },
  },
  {
    title: "the first message of a stream does not wait for the others",
    async run({ contract, witness, key }) {
      const answers = contract.serverStream({ count: 1, act: "gate", key })[Symbol.asyncIterator]();
      expect((await answers.next()).value?.count).toBe(1);
      await witness.open({ key });
      expect((await answers.next()).done).toBe(false);
      expect((await answers.next()).done).toBe(true);
    },
  },
  {
    title: "a handler that answers before it has read all requests is done (client stream)",
    async run({ contract }) {
      const feed = createFeed<StepInit>();
      const answered = contract.clientStream(feed);
      feed.push({ text: "a" });
      feed.push({ act: "leave" });
      expect((await answered).text).toBe("left early");
      await feed.left;
    },
  },
  {
    title: "a handler that leaves its requests before their end ends the stream",
    bidi: true,
    async run({ contract }) {
      const feed = createFeed<StepInit>();
      const answers = contract.bidiStream(feed)[Symbol.asyncIterator]();
      feed.push({ text: "a" });
      expect((await answers.next()).value?.text).toBe("a");
      feed.push({ act: "leave" });
      expect((await answers.next()).done).toBe(true);
      await feed.left;
    },
  },
  {
    title: "a request stream is left when the handler fails (client stream)",
    async run({ contract }) {
      const feed = createFeed<StepInit>();
      const answered = contract.clientStream(feed);
      feed.push({ act: "fail", code: Code.Aborted });
      await expect(answered).rejects.toMatchObject({ code: Code.Aborted });
      await feed.left;
    },
  },
  {
    title: "requests that fail end the call on both sides (client stream)",
    async run({ contract, witness, key }) {
      const feed = createFeed<StepInit>();
      const answered = contract.clientStream(feed);
      feed.push({ text: "a", key });
      await seen({ witness }, `${key} read`);
      feed.fail(new ConnectError("out of requests", Code.DataLoss));
      await expect(answered).rejects.toBeInstanceOf(ConnectError);
      await seen({ witness }, `${key} cut`);
    },
  },
  {
    title: "reads that do not wait for each other are served in their order",
    async run({ contract }) {
      const answers = contract.serverStream({ count: 3 })[Symbol.asyncIterator]();
      const results = await Promise.all([answers.next(), answers.next(), answers.next()]);
      expect(results.map(({ value }) => value?.count)).toEqual([1, 2, 3]);
      expect((await answers.next()).done).toBe(true);
    },
  },
  {
    title: "a reader that waits holds its producer back",
    async run({ contract, witness, traits, key }) {
      const caller = new AbortController();
      const request = { count: manyMessages, data, key };
      const answers = contract.serverStream(request, { signal: caller.signal })[Symbol.asyncIterator]();
      await answers.next();
      await roundTrips({ witness });
      const produced = await countOf({ witness }, `${key} produced`);
      expect(produced * messageBytes).toBeLessThanOrEqual(messageBytes + traits.aheadBytes);
      caller.abort(new ConnectError("enough", Code.Canceled));
      await seen({ witness }, `${key} ended`);
    },
  },
  {
    title: "a slow reader gets every message in the end",
    async run({ contract, witness }) {
      let count = 0;
      for await (const answer of contract.serverStream({ count: 300, data })) {
        count++;
        expect(answer.count).toBe(count);
        if (count % 100 === 0) await roundTrips({ witness }, 2);
      }
      expect(count).toBe(300);
    },
  },
  {
    title: "a handler that waits holds its caller back, and gets every request in the end",
    async run({ contract, witness, traits, key }) {
      let sent = 0;
      async function* requests(): AsyncGenerator<StepInit> {
        yield { act: "gate", key };
        for (; sent < manyMessages; sent++) yield { data };
      }
      const answered = contract.clientStream(requests());
      await seen({ witness }, `${key} started`);
      await roundTrips({ witness });
      expect(sent * messageBytes).toBeLessThanOrEqual(messageBytes + traits.aheadBytes);
      await witness.open({ key });
      expect((await answered).count).toBe(manyMessages + 1);
    },
  },
  {
    title: "a reader that waits holds its producer back",
    bidi: true,
    async run({ contract, witness, traits, key }) {
      const feed = createFeed<StepInit>();
      const answers = contract.bidiStream(feed)[Symbol.asyncIterator]();
      feed.push({ act: "produce", count: manyMessages, data, key });
      await answers.next();
      await roundTrips({ witness });
      const produced = await countOf({ witness }, `${key} produced`);
      expect(produced * messageBytes).toBeLessThanOrEqual(messageBytes + traits.aheadBytes);
      await answers.return?.();
      await feed.left;
    },
  },
  {
    title: "20 streams at a time do not mix",
    async run({ contract }) {
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, index) => collect(contract.serverStream({ text: `${index}`, count: 50 }))),
      );
      for (const [index, answers] of all.entries()) {
        expect(answers.map(({ text, count }) => `${text}/${count}`)).toEqual(
          answers.map((_, position) => `${index}/${position + 1}`),
        );
        expect(answers).toHaveLength(50);
      }
    },
  },
];
