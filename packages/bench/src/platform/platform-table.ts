import type { Case, Table, Variant } from "../table.ts";
import { timeBareChain } from "./bare-chain.ts";
import { startPlatform, timePlatformChain, timeReturn } from "./platform-chain.ts";

const one = "start of 1 plugin";
const chain = "start of a chain of 50 plugins (2 in short)";
const back = "from SIGKILL to the next answer";
const bare = "bare spawn, until it is ready";
const ours = "platform, until it is routed";

const lengths = { short: 2, full: 50 };

const figure = (work: (length: number) => Promise<number>): Case => ({
  kind: "figure",
  figure: (_seed, size) => work(lengths[size]),
});

const bareVariant: Variant = {
  name: bare,
  setup: async () => ({
    cases: new Map([
      [one, figure(() => timeBareChain(1))],
      [chain, figure((length) => timeBareChain(length))],
      [back, figure(() => timeBareChain(1))],
    ]),
    close: async () => {},
  }),
};

const platformVariant: Variant = {
  name: ours,
  async setup() {
    const platform = await startPlatform();
    return {
      cases: new Map([
        [one, figure(() => timePlatformChain(platform, 1))],
        [chain, figure((length) => timePlatformChain(platform, length))],
        [back, figure(() => timeReturn(platform))],
      ]),
      close: () => platform.close({ graceMs: 1_000 }),
    };
  },
};

/** What it costs that a platform starts plugins, rather than anybody who spawns the same programs. */
export const platformTable: Table = {
  name: "platform",
  title: "how long plugins take to start",
  measures: [
    { name: one, unit: "ms", base: bare },
    { name: chain, unit: "ms", base: bare },
    { name: back, unit: "ms", base: bare },
  ],
  variants: [bareVariant, platformVariant],
  goals: [one, chain].map((measure) => ({ measure, of: ours, to: bare, ratio: "cost", bound: { atMost: 1.2 } })),
};
