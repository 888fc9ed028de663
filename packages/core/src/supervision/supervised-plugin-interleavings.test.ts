import { Code } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeLaunch, type FakeProcess } from "../../test/support/fake-launches.ts";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { createSupervisedPlugin, type SupervisedPlugin } from "./supervised-plugin.ts";
import { resolveSupervisionOptions } from "./supervision-options.ts";

const plugins = { logger: definePlugin({ name: "logger", version: "1.0.0", service: Logger }) };
type Plugins = typeof plugins;

/** What may happen to a supervised plugin, in any order. */
const happenings = {
  "the launch succeeds": ({ launches }: Chaos) => void launches.at(-1)?.succeed(),
  "the launch fails": ({ launches }: Chaos) => launches.at(-1)?.fail(Code.Unavailable),
  "the launch fails for good": ({ launches }: Chaos) => launches.at(-1)?.fail(Code.FailedPrecondition),
  "the process ends": ({ processes }: Chaos) => processes.at(-1)?.end({ code: 1 }),
  "the process is silent": ({ processes }: Chaos) => {
    for (const process of processes) process.probed = "is silent";
  },
  "a call": ({ plugin, calls }: Chaos) => {
    calls.push(plugin.dispense("logger").then((client) => client.log({})));
  },
  "a call with a time-out": ({ plugin, calls }: Chaos) => {
    calls.push(plugin.dispense("logger").then((client) => client.log({}, { timeoutMs: 60_000 })));
  },
  reset: ({ plugin }: Chaos) => plugin.reset(),
  restart: ({ plugin, calls }: Chaos) => {
    calls.push(plugin.restart());
  },
  stop: ({ plugin, calls }: Chaos) => {
    calls.push(plugin.stop());
  },
};

interface Chaos {
  readonly plugin: SupervisedPlugin<Plugins>;
  readonly launches: readonly FakeLaunch[];
  readonly processes: readonly FakeProcess[];
  readonly calls: Promise<unknown>[];
}

describe("whatever happens, in whatever order", () => {
  const names = Object.keys(happenings) as (keyof typeof happenings)[];
  const step = fc.record({ name: fc.constantFrom(...names), passMs: fc.option(fc.constantFrom(0, 5, 100, 1_000)) });

  it("there is one process at most, every call settles, and a stop leaves nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.constantFrom("fail", "wait"), async (steps, mode) => {
        const clock = new FakeClock();
        const launches: FakeLaunch[] = [];
        const calls: Promise<unknown>[] = [];
        const plugin = createSupervisedPlugin<Plugins>({
          ...resolveSupervisionOptions({
            strategy: { kind: "fake", launch: () => Promise.reject(new Error("not used")) },
            plugins,
            clock,
            random: () => 0.5,
            restart: { maxRestarts: 2, windowMs: 5_000, stableMs: 1_000 },
            probe: { intervalMs: 50, timeoutMs: 50, failures: 2 },
            onCallsWhileDown: mode,
          }),
          name: "p",
          plugins,
          launch(signal) {
            const launch = new FakeLaunch(launches.length + 1, signal);
            launch.honourAbort();
            launches.push(launch);
            return launch.outcome.promise;
          },
        });
        const processes = () => launches.flatMap(({ process }) => process ?? []);
        for (const { name, passMs } of steps) {
          happenings[name]({ plugin, launches, processes: processes(), calls });
          calls.at(-1)?.catch(() => {});
          if (passMs !== null) await clock.advance(passMs);
          expect(processes().filter(({ ended }) => !ended).length).toBeLessThanOrEqual(1);
          const { length } = launches.filter(({ settled }) => !settled);
          expect(length).toBeLessThanOrEqual(1);
        }
        await plugin.stop();
        await clock.advance(60_000);
        await Promise.allSettled(calls);
        expect(plugin.state).toBe("stopped");
        expect(clock.pending).toBe(0);
        expect(plugin.snapshot().waitingCalls).toBe(0);
        const left = processes().filter(({ ended, closed, openTransports }) => !ended || !closed || openTransports > 0);
        expect(left).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
