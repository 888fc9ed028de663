import { type Client, Code } from "@connectrpc/connect";
import { expect } from "vitest";
import { collect } from "../support/collect.ts";
import type { LayeredService } from "./contract-messages.ts";
import { clientMessageBytes, serverMessageBytes } from "./contract-plugin.ts";
import { forKinds, streamKinds } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";

const refused = { code: Code.ResourceExhausted };
/** Room for the field's own header. */
const frame = 16;

async function stillWorks(client: Client<typeof LayeredService>): Promise<void> {
  expect((await client.unary({ text: "still here" })).text).toBe("still here");
  expect(await collect(client.serverStream({ count: 2 }))).toHaveLength(2);
}

export const limitCases: readonly ContractCase[] = [
  ...forKinds("a request as large as the plugin takes arrives", async ({ contract }, kind) => {
    const answers = await kind.call(contract, { data: new Uint8Array(serverMessageBytes - frame) }, {}, 0);
    expect(answers.length).toBe(kind.kind === "server stream" ? 0 : 1);
  }),
  ...forKinds(
    "a request that is too large for the plugin is refused, and the next call works",
    async (subject, kind) => {
      const { contract } = subject;
      const call = kind.call(contract, { data: new Uint8Array(serverMessageBytes + 1) });
      await expect(call).rejects.toMatchObject(refused);
      await stillWorks(contract);
    },
  ),
  ...forKinds("an answer that the plugin may not send is refused, and the next call works", async (subject, kind) => {
    const { contract } = subject;
    const call = kind.call(contract, { act: "large", code: serverMessageBytes + 1 });
    await expect(call).rejects.toMatchObject(refused);
    await stillWorks(contract);
  }),
  ...forKinds(
    "an answer that is too large for the client is refused, and the next call works",
    async (subject, kind) => {
      const { layered } = subject;
      const call = kind.call(layered, { act: "large", code: clientMessageBytes + 1 });
      await expect(call).rejects.toMatchObject(refused);
      await stillWorks(layered);
    },
  ),
  ...forKinds("a request that the client may not send is refused, and the next call works", async (subject, kind) => {
    const { layered } = subject;
    const call = kind.call(layered, { data: new Uint8Array(clientMessageBytes + 1) });
    await expect(call).rejects.toMatchObject(refused);
    await stillWorks(layered);
  }),
  ...forKinds(
    "a third message that is too large comes after two that are not",
    async ({ contract }, kind) => {
      const answers = kind.open(contract, { act: "large", code: serverMessageBytes + 1 }, {}, 2);
      const iterator = answers[Symbol.asyncIterator]();
      expect((await iterator.next()).done).toBe(false);
      expect((await iterator.next()).done).toBe(false);
      await expect(iterator.next()).rejects.toMatchObject(refused);
      await stillWorks(contract);
    },
    streamKinds,
  ),
  ...forKinds("many messages, each within the limit, may be more than the limit together", async (subject, kind) => {
    const { contract } = subject;
    const data = new Uint8Array(100_000);
    const answers = await kind.call(contract, { data }, {}, 20);
    expect(answers.length).toBeGreaterThan(0);
  }),
];
