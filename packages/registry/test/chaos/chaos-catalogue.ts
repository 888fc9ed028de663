import { fileURLToPath } from "node:url";
import { nodeStrategy, processStrategy } from "@cpg/core";
import type { PlatformPlugin } from "../../src/index.ts";

/** What may be there at most. */
export interface ChaosFacts {
  readonly id: string;
  readonly type: string;
  readonly needs: readonly ChaosNeed[];
  /** Two parts that have nothing to do with each other: what is done to one cannot change what becomes of the other. */
  readonly part: "left" | "right";
  /** Shakes hands and registers itself. */
  readonly registersItself: boolean;
}

export interface ChaosNeed {
  readonly type: string;
  readonly required: boolean;
  /** The least version is 1.MINOR.0. */
  readonly minMinor: number;
}

export type ChaosMode = "" | "slow" | "fail" | "crash" | "unwell";

/** Each after those that provide what it needs. */
export const catalogue: readonly ChaosFacts[] = [
  facts("a1", "alpha", "left"),
  facts("a2", "alpha", "left", [], true),
  facts("b1", "beta", "left", ["alpha"]),
  facts("b2", "beta", "left", ["alpha?"]),
  facts("c1", "gamma", "left", ["beta"], true),
  facts("d1", "delta", "left", ["alpha@1", "gamma?"]),
  facts("e1", "epsilon", "right", [], true),
  facts("f1", "phi", "right", ["epsilon"]),
  facts("g1", "psi", "right", ["epsilon@1"]),
  facts("h1", "chi", "right", ["phi?", "psi"]),
];

function facts(id: string, type: string, part: ChaosFacts["part"], needs: string[] = [], itself = false): ChaosFacts {
  return {
    id,
    type,
    part,
    registersItself: itself,
    needs: needs.map((text) => {
      const [name = "", minMinor = "0"] = text.split("@");
      return { type: name.replace("?", ""), required: !name.endsWith("?"), minMinor: Number(minMinor) };
    }),
  };
}

export function factsOf(id: string): ChaosFacts {
  const found = catalogue.find((one) => one.id === id);
  if (found === undefined) throw new TypeError(`no plugin ${id}`);
  return found;
}

export function versionOf(minor: number): string {
  return `1.${minor}.0`;
}

/** Ends after which a plugin is crash-looping: one more than this. */
export const maxRestarts = 1;
const everMs = 2 ** 30;
const program = fileURLToPath(new URL("../fixtures/chaos-plugin.mjs", import.meta.url));

/** @param roll directory in which each process signs with its pid. */
export function chaosPlugin(id: string, minor: number, mode: ChaosMode, roll: string): PlatformPlugin {
  const { type, needs, registersItself } = factsOf(id);
  const version = versionOf(minor);
  const env = {
    CHAOS_ROLL: roll,
    CHAOS_MODE: mode,
    CHAOS_VERSION: version,
    ...(registersItself ? { CHAOS_SELF: id, CHAOS_PROVIDES: type } : {}),
  };
  const isNode = id.endsWith("1");
  return {
    id,
    strategy: isNode
      ? nodeStrategy({ entry: program, env, nodeArgs: ["--max-semi-space-size=1"] })
      : processStrategy({ command: process.execPath, args: [program], env, ready: "any" }),
    foreign: {
      selfId: id,
      registers: registersItself ? "itself" : "host",
      provides: [{ type, version, path: "/" }],
      requires: needs.map((need) => ({
        type: need.type,
        requiredForStartup: need.required,
        minVersion: need.minMinor === 0 ? undefined : versionOf(need.minMinor),
      })),
    },
    readyTimeoutMs: 60_000,
    probe: false,
    restart: { backoff: { initialMs: 1, maxMs: 5 }, maxRestarts, windowMs: everMs, stableMs: everMs },
  };
}
