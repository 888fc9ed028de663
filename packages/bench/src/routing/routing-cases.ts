import assert from "node:assert/strict";
import { runLanes } from "../launch/run-lanes.ts";
import type { Case, Subject } from "../table.ts";
import { cpuNs } from "./cpu-of-processes.ts";
import { assertEcho, listBytes, openRawCalls, type RawTarget } from "./raw-calls.ts";
import { lanes, listLength, routingMeasures } from "./routing-measures.ts";

const body = Buffer.alloc(100, "b");
const sequential = { short: 5, full: 300 };
const parallel = { short: 64, full: 4_000 };

export interface Between {
  readonly target: RawTarget;
  /** The processes between the caller and the provider. */
  readonly pids: readonly number[];
  close(): Promise<void>;
}

/** The same calls, whatever they go through. */
export async function routingSubject({ target, pids, close }: Between): Promise<Subject> {
  const calls = await openRawCalls(target);
  const echo = async () => assertEcho(await calls.echo(body), body);
  const list = async () => {
    const bytes = await calls.list(listLength);
    assert.equal(bytes, listLength * listBytes, "the stream is not as long as was asked for");
  };
  const cases = new Map<string, Case>([
    [
      routingMeasures.median,
      {
        kind: "figure",
        async figure(_seed, size) {
          const ns: number[] = [];
          for (let call = 0; call < sequential[size]; call++) {
            const startMs = performance.now();
            await echo();
            ns.push((performance.now() - startMs) * 1e6);
          }
          return ns.sort((a, b) => a - b)[ns.length >> 1] ?? Number.NaN;
        },
      },
    ],
    [
      routingMeasures.lanes,
      {
        kind: "timed",
        check: echo,
        run: (count) => runLanes(count, lanes, echo),
        leastCalls: 4 * lanes,
      },
    ],
    [
      routingMeasures.list,
      {
        kind: "timed",
        check: list,
        async run(count) {
          for (let call = 0; call < count; call++) await list();
        },
      },
    ],
  ]);
  if (pids.length > 0) {
    cases.set(routingMeasures.cpu, {
      kind: "figure",
      async figure(_seed, size) {
        const count = parallel[size];
        const before = cpuNs(pids);
        await runLanes(count, lanes, echo);
        return (cpuNs(pids) - before) / count;
      },
    });
  }
  return {
    cases,
    async close() {
      calls.close();
      await close();
    },
  };
}
