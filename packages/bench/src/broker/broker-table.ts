import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { FakeClock } from "@cpg/resilience/testing";
import type { Case, Table, TimedCase, Variant } from "../table.ts";
import { emptyGrants, holderOf, issueMany, typeOf } from "./many-grants.ts";

const checkMeasure = "look up a grant and check its token";
const issueMeasure = "issue a grant, and take it back";
const expireMeasure = "ns of each grant that expires";
const memoryMeasure = "bytes of memory for each live grant";

const few = "1 000 live grants";
const many = "100 000 live grants";

function timed(work: (call: number) => void): TimedCase {
  return {
    kind: "timed",
    check: async () => work(0),
    async run(calls) {
      for (let call = 0; call < calls; call++) work(call);
    },
  };
}

/** Steps through all of them, and never the next in memory. */
const stride = 7_919;

async function expireAll(count: number): Promise<number> {
  const clock = new FakeClock();
  const grants = emptyGrants(clock);
  issueMany(grants, count);
  const startedMs = performance.now();
  await clock.advance(3 * 60 * 60 * 1_000);
  const tookMs = performance.now() - startedMs;
  assert.equal(grants.size, 0);
  grants.close();
  return (tookMs * 1e6) / count;
}

async function bytesOfEach(count: number): Promise<number> {
  const collect = globalThis.gc ?? (() => {});
  const used = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const grants = emptyGrants();
  await setImmediate();
  collect();
  const before = used();
  issueMany(grants, count); // the tokens are with the plugins
  await setImmediate();
  collect();
  const bytes = (used() - before) / count;
  grants.close();
  return bytes;
}

function variant(name: string, count: number): Variant {
  return {
    name,
    async setup() {
      const grants = emptyGrants();
      const held = issueMany(grants, count);
      const terms = { type: "type-0", version: "1.0.0", holder: holderOf(count), reason: "" };
      return {
        cases: new Map<string, Case>([
          [
            checkMeasure,
            timed((call) => {
              const index = (call * stride) % count;
              const { id, token } = held[index] ?? assert.fail();
              assert.equal(grants.check(id, typeOf(index), token).id, id);
            }),
          ],
          [
            issueMeasure,
            timed(() => {
              const { grant } = grants.issue(terms);
              grants.giveBack(grant.id, grant.holder);
            }),
          ],
          [
            expireMeasure,
            { kind: "figure", figure: (_seed, size) => expireAll(size === "full" ? count : count / 100) },
          ],
          [
            memoryMeasure,
            { kind: "figure", figure: (_seed, size) => bytesOfEach(size === "full" ? count : count / 10) },
          ],
        ]),
        close: async () => grants.close(),
      };
    },
  };
}

/** What grants cost, and that it does not depend on how many there are. */
export const brokerTable: Table = {
  name: "broker",
  title: "grants of capabilities, 1 000 and 100 000 of them",
  measures: [
    { name: checkMeasure, unit: "ns", clock: "cpu", base: few },
    { name: issueMeasure, unit: "ns", clock: "cpu", base: few },
    { name: expireMeasure, unit: "count", base: few },
    { name: memoryMeasure, unit: "count", base: few },
  ],
  variants: [variant(few, 1_000), variant(many, 100_000)],
  goals: [
    // A map of 100 000 does not fit into the caches of the CPU; what is looked at one by one would cost 100.
    { measure: checkMeasure, of: many, to: few, ratio: "cost", bound: { atMost: 4 } },
    { measure: issueMeasure, of: many, to: few, ratio: "cost", bound: { atMost: 4 } },
    { measure: expireMeasure, of: many, to: few, ratio: "cost", bound: { atMost: 4 } },
  ],
};
