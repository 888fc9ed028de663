import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect } from "../support/collect.ts";
import { clientMessageBytes } from "./contract-plugin.ts";
import { clientLayers } from "./interceptors.ts";
import { stream } from "./kinds.ts";
import type { Carrier, ContractCase, StartedPlugin, Subject } from "./subject.ts";
import { contract } from "./suite.ts";
import { titled } from "./titled.ts";
import { countOf, seen } from "./witnessed.ts";

/** HTTP/1.1 has no streams that flow both ways: what the others have to do, it has to refuse. */
const refusesBidi: ContractCase["run"] = async (subject) => {
  const answers = collect(subject.contract.bidiStream(stream({ text: "a" })));
  await expect(answers).rejects.toMatchObject({ code: Code.Unknown });
  expect((await subject.contract.unary({ text: "still here" })).text).toBe("still here");
};

const bounds = { timeout: 15_000 };
let keys = 0;

/** Runs every case over every one of these carriers, each as a test of its own. */
export function describeContract(carriers: readonly Carrier[]): void {
  describe.each(titled(carriers))("%s", bounds, (_, carrier) => {
    const { traits } = carrier;
    let plugins: StartedPlugin[] = [];
    let shared: Omit<Subject, "key">;

    beforeAll(async () => {
      plugins = await Promise.all([
        carrier.start(),
        carrier.start({ interceptors: clientLayers, maxMessageBytes: clientMessageBytes }),
      ]);
      const [plugin, limited] = plugins as [StartedPlugin, StartedPlugin];
      shared = {
        carrier,
        traits,
        plugin,
        contract: await plugin.dispense("contract"),
        layered: await limited.dispense("layered"),
        witness: await plugin.dispense("witness"),
        layeredWitness: await limited.dispense("witness"),
      };
    });
    afterAll(async () => {
      await Promise.all(plugins.map((plugin) => plugin[Symbol.asyncDispose]()));
    });

    describe.each(contract)("$topic", ({ topic, cases }) => {
      // Deadlines are waited for: several at a time.
      const test = topic === "deadlines" ? it.concurrent : it;
      test.each(titled(cases))("%s", async (_, { bidi = false, run }) => {
        const refused = bidi && traits.httpVersion === "1.1";
        await (refused ? refusesBidi : run)({ ...shared, key: `case ${keys++}` });
      });
    });

    it("leaves no handler behind, whatever happened to its call", async () => {
      for (const witness of [shared.witness, shared.layeredWitness]) {
        const begun = await countOf({ witness }, "begun");
        expect(begun).toBeGreaterThan(0);
        await seen({ witness }, "ended", begun);
      }
    });

    it("ends when asked to: no call that is over holds it up", async () => {
      const reports = await Promise.all(plugins.map((plugin) => plugin.stop({ graceMs: 8_000 })));
      expect(reports.map(({ how }) => how)).toEqual(["asked", "asked"]);
    });
  });
}
