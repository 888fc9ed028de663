import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { createServiceClient } from "../../src/client/service-client.ts";
import { ContractService, type StepInit } from "./contract-messages.ts";
import { createFeed } from "./feed.ts";
import { forKinds, streamKinds } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";
import { countOf, roundTrips, seen } from "./witnessed.ts";

export const cancellationCases: readonly ContractCase[] = [
  ...forKinds("a signal that has aborted keeps the call from the handler", async (subject, kind) => {
    const { contract, key } = subject;
    const signal = AbortSignal.abort(new ConnectError("changed my mind", Code.Canceled));
    await expect(kind.call(contract, { act: "wait", key }, { signal })).rejects.toMatchObject({ code: Code.Canceled });
    await roundTrips(subject, 5);
    expect(await countOf(subject, `${key} started`)).toBe(0);
  }),
  ...forKinds("a caller that aborts gets canceled, and the handler's signal aborts so", async (subject, kind) => {
    const { contract, key } = subject;
    const caller = new AbortController();
    const call = expect(kind.call(contract, { act: "wait", key }, { signal: caller.signal })).rejects.toMatchObject({
      code: Code.Canceled,
    });
    await seen(subject, `${key} started`);
    caller.abort();
    await call;
    expect(Code[(await seen(subject, `${key} aborted`)).code]).toBe("Canceled");
  }),
  ...forKinds("a caller that aborts with an error of its own gets that", async (subject, kind) => {
    const { contract, key } = subject;
    const caller = new AbortController();
    const call = expect(kind.call(contract, { act: "wait", key }, { signal: caller.signal })).rejects.toMatchObject({
      code: Code.Aborted,
      rawMessage: "enough",
    });
    await seen(subject, `${key} started`);
    caller.abort(new ConnectError("enough", Code.Aborted));
    await call;
    await seen(subject, `${key} aborted`);
  }),
  ...forKinds("a caller that aborts with any other error gets canceled", async (subject, kind) => {
    const { contract, key } = subject;
    const caller = new AbortController();
    const call = expect(kind.call(contract, { act: "wait", key }, { signal: caller.signal })).rejects.toMatchObject({
      code: Code.Canceled,
    });
    await seen(subject, `${key} started`);
    caller.abort(new DOMException("too late", "TimeoutError"));
    await call;
  }),
  ...forKinds("a handler that heeds no signal does not hold its caller", async (subject, kind) => {
    const { contract, witness, key } = subject;
    const caller = new AbortController();
    const call = expect(kind.call(contract, { act: "gate", key }, { signal: caller.signal })).rejects.toMatchObject({
      code: Code.Canceled,
    });
    await seen(subject, `${key} started`);
    caller.abort();
    await call;
    await witness.open({ key });
  }),
  ...forKinds("a signal that aborts after the end of its call changes nothing", async ({ contract }, kind) => {
    const caller = new AbortController();
    const answers = await kind.call(contract, { text: "done" }, { signal: caller.signal }, 1);
    caller.abort();
    expect(answers.at(-1)?.text).toContain("done");
    expect((await contract.unary({ text: "still here" })).text).toBe("still here");
  }),
  ...forKinds(
    "a caller that aborts between two reads gets canceled with the next",
    async (subject, kind) => {
      const { contract, key } = subject;
      const caller = new AbortController();
      const options = { signal: caller.signal };
      const answers = kind.open(contract, { act: "wait", key }, options, 1)[Symbol.asyncIterator]();
      expect((await answers.next()).done).toBe(false);
      caller.abort();
      await expect(answers.next()).rejects.toMatchObject({ code: Code.Canceled });
      expect(Code[(await seen(subject, `${key} cut`)).code]).toBe("Canceled");
    },
    streamKinds,
  ),
  ...forKinds(
    "a reader that leaves its loop ends the call on the server",
    async (subject, kind) => {
      const { contract, key } = subject;
      for await (const _ of kind.open(contract, { act: "wait", key }, {}, 1)) break;
      expect(Code[(await seen(subject, `${key} cut`)).code]).toBe("Canceled");
    },
    streamKinds,
  ),
  ...forKinds(
    "a stream that its reader left is over for it",
    async (subject, kind) => {
      const { contract, key } = subject;
      const answers = kind.open(contract, { act: "wait", key }, {}, 2)[Symbol.asyncIterator]();
      expect((await answers.next()).done).toBe(false);
      expect((await answers.return?.())?.done).toBe(true);
      await seen(subject, `${key} cut`);
    },
    streamKinds,
  ),
  {
    title: "a producer whose reader left is closed: its finally runs",
    async run(subject) {
      const { contract, key } = subject;
      for await (const _ of contract.serverStream({ count: 100_000, data: new Uint8Array(1_000), key })) break;
      await seen(subject, `${key} ended`);
    },
  },
  {
    title: "a caller that aborts closes its own request stream (client stream)",
    async run(subject) {
      const { contract, key } = subject;
      const caller = new AbortController();
      const feed = createFeed<StepInit>();
      const call = expect(contract.clientStream(feed, { signal: caller.signal })).rejects.toMatchObject({
        code: Code.Canceled,
      });
      feed.push({ act: "wait", key });
      await seen(subject, `${key} started`);
      caller.abort();
      await call;
      await feed.left;
    },
  },
  ...forKinds("100 callers that abort at once all get canceled, and so do the handlers", async (subject, kind) => {
    const { contract, key } = subject;
    const caller = new AbortController();
    const calls = Array.from({ length: 100 }, () =>
      kind.call(contract, { act: "wait", key }, { signal: caller.signal }).then(
        () => "succeeded",
        ({ code }) => code,
      ),
    );
    await seen(subject, `${key} started`, 100);
    caller.abort();
    expect(new Set(await Promise.all(calls))).toEqual(new Set([Code.Canceled]));
    await seen(subject, `${key} aborted`, 100);
  }),
  ...forKinds("one call that is canceled leaves the others alone", async (subject, kind) => {
    const { contract, witness, key } = subject;
    const caller = new AbortController();
    const stays = kind.call(contract, { act: "gate", key, text: "stays" });
    const goes = expect(kind.call(contract, { act: "wait", key }, { signal: caller.signal })).rejects.toMatchObject({
      code: Code.Canceled,
    });
    await seen(subject, `${key} started`, 2);
    caller.abort();
    await goes;
    await witness.open({ key });
    expect((await stays).at(-1)?.text).toBe("stays");
  }),
  ...forKinds("a transport that closes ends its own calls only", async (subject, kind) => {
    const { contract, plugin, witness, key } = subject;
    const calls = plugin.openTransport();
    const client = createServiceClient(ContractService, calls.transport);
    const stays = kind.call(contract, { act: "gate", key, text: "stays" });
    const ended = expect(kind.call(client, { act: "wait", key })).rejects.toMatchObject({ code: Code.Canceled });
    await seen(subject, `${key} started`, 2);
    await calls.close();
    await ended;
    await expect(kind.call(client, {})).rejects.toMatchObject({ code: Code.Canceled });
    await seen(subject, `${key} aborted`);
    await witness.open({ key });
    expect((await stays).at(-1)?.text).toBe("stays");
  }),
];
