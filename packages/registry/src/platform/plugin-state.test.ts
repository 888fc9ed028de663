import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ADDED, isExpected, type PluginInput, type PluginState, pluginTransition } from "./plugin-state.ts";

const states = {
  added: ADDED,
  starting: { kind: "starting", stage: "health" },
  running: { kind: "running" },
  blocked: { kind: "blocked" },
  waiting: { kind: "waiting", delayMs: 1 },
  "crash-looping": { kind: "crash-looping" },
  failed: { kind: "failed", stage: "health" },
  restarting: { kind: "restarting" },
  draining: { kind: "draining" },
  stopping: { kind: "stopping" },
  stopped: { kind: "stopped" },
} satisfies Record<string, PluginState>;
type Name = keyof typeof states;

const inputs = {
  start: { type: "start" },
  stage: { type: "stage", stage: "route" },
  started: { type: "started" },
  failed: { type: "failed" },
  blocked: { type: "blocked" },
  ended: { type: "ended", delayMs: 7 },
  "ended-too-often": { type: "ended-too-often" },
  restart: { type: "restart" },
  drain: { type: "drain" },
  stop: { type: "stop" },
  stopped: { type: "stopped" },
} satisfies Record<string, PluginInput>;
type InputName = keyof typeof inputs;

const names = Object.keys(states) as Name[];
const except = (...left: readonly Name[]): Name[] => names.filter((name) => !left.includes(name));

/** The table of the docstring, row by row: states, input, next state. */
const table: readonly [readonly Name[], InputName, PluginState][] = [
  [["added"], "start", { kind: "starting", stage: "dependencies" }],
  [["starting"], "stage", { kind: "starting", stage: "route" }],
  [["starting"], "started", { kind: "running" }],
  [["added"], "failed", { kind: "failed", stage: "dependencies" }],
  [["starting"], "failed", { kind: "failed", stage: "health" }],
  [["running"], "blocked", { kind: "blocked" }],
  [["starting", "running", "blocked", "restarting"], "ended", { kind: "waiting", delayMs: 7 }],
  [["starting", "running", "blocked", "restarting"], "ended-too-often", { kind: "crash-looping" }],
  [["waiting", "crash-looping", "failed", "restarting", "running"], "start", { kind: "starting", stage: "launch" }],
  [["running", "blocked", "waiting", "crash-looping", "restarting"], "failed", { kind: "failed", stage: "launch" }],
  [["running"], "restart", { kind: "restarting" }],
  [["running"], "drain", { kind: "draining" }],
  [except("stopping", "stopped"), "stop", { kind: "stopping" }],
  [except("stopped"), "stopped", { kind: "stopped" }],
];

describe("pluginTransition", () => {
  const rows = table.flatMap(([from, input, next]) => from.map((name) => ({ name, input, next })));

  it.each(rows)("$name, $input -> $next.kind", ({ name, input, next }) => {
    expect(pluginTransition(states[name], inputs[input])).toEqual(next);
  });

  const listed = new Set(rows.map(({ name, input }) => `${name} ${input}`));
  const others = names.flatMap((name) =>
    (Object.keys(inputs) as InputName[]).flatMap((input) => (listed.has(`${name} ${input}`) ? [] : [{ name, input }])),
  );

  it.each(others)("$name, $input changes nothing", ({ name, input }) => {
    expect(pluginTransition(states[name], inputs[input])).toBe(states[name]);
  });

  it("never leaves stopped, and goes nowhere else from draining and stopping", () => {
    const anyInputs = fc.array(fc.constantFrom(...Object.values(inputs)));
    fc.assert(
      fc.property(anyInputs, (sequence) => {
        const path = [ADDED as PluginState];
        for (const input of sequence) path.push(pluginTransition(path.at(-1) ?? ADDED, input));
        const kinds = path.map(({ kind }) => kind);
        const order = ["draining", "stopping", "stopped"];
        const ranks = kinds.map((kind) => order.indexOf(kind));
        return ranks.every((rank, index) => index === 0 || rank >= (ranks[index - 1] ?? -1));
      }),
    );
  });

  it("expects something of those that run or come back", () => {
    const expected = names.filter((name) => isExpected(states[name]));
    expect(expected).toEqual(["added", "starting", "running", "blocked", "waiting", "restarting"]);
  });
});
