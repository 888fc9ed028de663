import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  comesBack,
  initialState,
  type LaunchHistory,
  presentProcess,
  type SupervisionInput,
  type SupervisionRules,
  type SupervisionState,
  type SupervisionStateName,
  transition,
} from "./supervision-state.ts";

type State = SupervisionState<string>;
type Input = SupervisionInput<string>;

const rules: SupervisionRules = {
  backoff: { initialMs: 10, maxMs: 100, factor: 2, jitter: "none" },
  maxRestarts: 2,
  windowMs: 1_000,
  stableMs: 500,
  failures: 2,
};
const history: LaunchHistory = { launch: 3, endsMs: [900], previousDelayMs: 10 };
const often: LaunchHistory = { launch: 3, endsMs: [800, 900], previousDelayMs: 20 };
const next: LaunchHistory = { ...history, launch: 4 };
const clean: LaunchHistory = { launch: 4, endsMs: [], previousDelayMs: 10 };

const starting: State = { kind: "starting", history };
const running: State = { kind: "running", history, process: "p", sinceMs: 950, misses: 0, silent: true };
const missedOnce: State = { ...running, misses: 1 };
const failedOnce: State = { ...running, misses: 1, silent: false };
const blocked: State = { kind: "blocked", history, process: "p", sinceMs: 950 };
const unresponsive: State = { kind: "unresponsive", history, process: "p", sinceMs: 950 };
const restarting: State = { kind: "restarting", history, process: "p", sinceMs: 950 };
const waiting: State = { kind: "waiting", history, delayMs: 10 };
const looping: State = { kind: "crash-looping", history };
const failed: State = { kind: "failed", history, process: undefined };
const unkilled: State = { kind: "failed", history, process: "p" };
const stopping: State = { kind: "stopping", history, process: "p" };
const stopped: State = { kind: "stopped", history };
const states = [
  starting,
  running,
  missedOnce,
  failedOnce,
  blocked,
  unresponsive,
  restarting,
  waiting,
  looping,
  failed,
  unkilled,
  stopping,
  stopped,
];

const launch = 3;
const nowMs = 1_000;
const random = 0;
const started: Input = { type: "started", launch, process: "p", nowMs };
const exited: Input = { type: "exited", launch, nowMs, random };
const mendable: Input = { type: "launch-failed", launch, mendable: true, nowMs, random };
const hopeless: Input = { type: "launch-failed", launch, mendable: false, nowMs, random };
const answered: Input = { type: "answered", launch };
const silence: Input = { type: "missed", launch, silent: true };
const noConnection: Input = { type: "missed", launch, silent: false };
const unkillable: Input = { type: "unkillable", launch };
const delayOver: Input = { type: "delay-over", launch };
const inputs: readonly Input[] = [
  started,
  exited,
  mendable,
  hopeless,
  answered,
  silence,
  noConnection,
  unkillable,
  delayOver,
  { type: "restart" },
  { type: "reset" },
  { type: "stop" },
  { type: "stopped" },
];

/** After a second end that counts: the delay has doubled. */
const secondDelay: State = {
  kind: "waiting",
  history: { launch, endsMs: [900, 1_000], previousDelayMs: 20 },
  delayMs: 20,
};

/** The whole machine, but for stop, which does the same everywhere. */
const table: readonly { from: State; input: Input; to: State }[] = [
  { from: starting, input: started, to: { ...running, sinceMs: nowMs } },
  { from: starting, input: mendable, to: secondDelay },
  { from: starting, input: hopeless, to: failed },
  { from: running, input: exited, to: secondDelay },
  { from: running, input: silence, to: missedOnce },
  { from: running, input: noConnection, to: failedOnce },
  { from: running, input: { type: "restart" }, to: restarting },
  { from: missedOnce, input: exited, to: secondDelay },
  { from: missedOnce, input: answered, to: running },
  { from: missedOnce, input: silence, to: blocked },
  { from: missedOnce, input: noConnection, to: unresponsive },
  { from: missedOnce, input: { type: "restart" }, to: restarting },
  { from: failedOnce, input: exited, to: secondDelay },
  { from: failedOnce, input: answered, to: running },
  { from: failedOnce, input: silence, to: unresponsive },
  { from: failedOnce, input: noConnection, to: unresponsive },
  { from: failedOnce, input: { type: "restart" }, to: restarting },
  { from: blocked, input: exited, to: secondDelay },
  { from: blocked, input: unkillable, to: unkilled },
  { from: unresponsive, input: exited, to: secondDelay },
  { from: unresponsive, input: unkillable, to: unkilled },
  { from: restarting, input: exited, to: { kind: "starting", history: next } },
  { from: restarting, input: unkillable, to: unkilled },
  { from: waiting, input: delayOver, to: { kind: "starting", history: next } },
  ...[waiting, looping, failed, unkilled].flatMap((from): { from: State; input: Input; to: State }[] => [
    { from, input: { type: "restart" }, to: { kind: "starting", history: next } },
    { from, input: { type: "reset" }, to: { kind: "starting", history: clean } },
  ]),
  { from: stopping, input: { type: "stopped" }, to: stopped },
];

describe("transition", () => {
  it.each(table)("$from.kind, $input.type -> $to.kind", ({ from, input, to }) => {
    expect(transition(from, input, rules)).toEqual(to);
  });

  it("changes nothing on any other input", () => {
    for (const from of states) {
      for (const input of inputs) {
        const listed = input.type === "stop" || table.some((row) => row.from === from && sameInput(row.input, input));
        expect([from, input, listed || transition(from, input, rules) === from]).toEqual([from, input, true]);
      }
    }
  });

  it.each(states.filter(({ kind }) => kind !== "stopping" && kind !== "stopped"))("$kind, stop -> stopping", (from) => {
    const process = "process" in from ? from.process : undefined;
    expect(transition(from, { type: "stop" }, rules)).toEqual({ kind: "stopping", history, process });
  });

  it("changes nothing on what belongs to an earlier launch", () => {
    for (const from of states) {
      for (const input of inputs.filter((each) => "launch" in each)) {
        expect(transition(from, { ...input, launch: launch - 1 } as Input, rules)).toBe(from);
      }
    }
  });

  it.each([
    { name: "the end after the last allowed restart", from: { ...running, history: often }, kind: "crash-looping" },
    { name: "a launch that fails then", from: { ...starting, history: often }, kind: "crash-looping" },
    {
      name: "a run that was stable wipes the count out",
      from: { ...running, history: often, sinceMs: 500 },
      kind: "waiting",
    },
    {
      name: "a run just too short does not",
      from: { ...running, history: often, sinceMs: 501 },
      kind: "crash-looping",
    },
    {
      name: "a stable run that was blocked counts, too",
      from: { ...blocked, history: often, sinceMs: 500 },
      kind: "waiting",
    },
    {
      name: "an end as old as the window",
      from: { ...running, history: { ...often, endsMs: [0, 900] } },
      kind: "waiting",
    },
    {
      name: "an end just inside the window",
      from: { ...running, history: { ...often, endsMs: [1, 900] } },
      kind: "crash-looping",
    },
  ] as { name: string; from: State; kind: SupervisionStateName }[])("$name -> $kind", ({ from, kind }) => {
    expect(transition(from, from.kind === "starting" ? mendable : exited, rules).kind).toBe(kind);
  });

  it("begins with the shortest delay again after a stable run", () => {
    const after = transition({ ...running, history: often, sinceMs: 0 }, exited, rules);
    expect(after).toEqual({ kind: "waiting", history: { launch, endsMs: [1_000], previousDelayMs: 10 }, delayMs: 10 });
  });

  it("forgets the ends at a restart by hand, too, after a stable run", () => {
    expect(transition({ ...restarting, sinceMs: 500 }, exited, rules).history).toEqual(clean);
  });

  it("does not restart at all when maxRestarts is 0", () => {
    expect(transition(running, exited, { ...rules, windowMs: 1, maxRestarts: 0 }).kind).toBe("crash-looping");
  });
});

function sameInput(one: Input, other: Input): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What the machine should have done, told from the inputs that it took. */
interface Model {
  nowMs: number;
  kind: SupervisionStateName;
  launch: number;
  ends: number[];
  sinceMs: number;
  misses: ("silent" | "not")[];
}

const anyInput = fc.record({
  type: fc.constantFrom(...inputs.map(({ type }) => type)),
  late: fc.boolean(),
  flag: fc.boolean(),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  passMs: fc.constantFrom(0, 1, 9, 100, 499, 500, 999, 1_000),
});

describe("the machine as a whole", () => {
  it("agrees with a model that remembers everything", () => {
    fc.assert(
      fc.property(fc.array(anyInput, { maxLength: 60 }), fc.boolean(), (steps, jitter) => {
        const config = { ...rules, backoff: { ...rules.backoff, jitter: jitter ? "full" : "none" } } as const;
        let state: State = initialState(config);
        const model: Model = { nowMs: 0, kind: "starting", launch: 1, ends: [], sinceMs: 0, misses: [] };
        for (const { type, late, flag, random: dice, passMs } of steps) {
          model.nowMs += passMs;
          const number = late ? model.launch - 1 : model.launch;
          const input = {
            type,
            launch: number,
            process: `p${number}`,
            nowMs: model.nowMs,
            random: dice,
            mendable: flag,
            silent: flag,
          } as Input;
          const commanded = ["restart", "reset", "stop", "stopped"].includes(type);
          if (commanded) state = transition(state, { type } as Input, config);
          else state = transition(state, input, config);
          if (commanded || !late) follow(model, type, flag);
          expect(state.kind).toBe(model.kind);
          expect(state.history.launch).toBe(model.launch);
          expect(presentProcess(state)).toBe(model.kind === "running" ? `p${model.launch}` : undefined);
          expect(state.history.endsMs.length).toBeLessThanOrEqual(config.maxRestarts + 1);
          const delayMs = state.kind === "waiting" ? state.delayMs : 0;
          expect(delayMs).toBeLessThanOrEqual(config.backoff.maxMs);
          expect(delayMs).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives up only where calls have nothing to wait for", () => {
    expect(states.filter(({ kind }) => !comesBack(kind)).map(({ kind }) => kind)).toEqual([
      "crash-looping",
      "failed",
      "failed",
      "stopping",
      "stopped",
    ]);
  });
});

function follow(model: Model, type: Input["type"], flag: boolean): void {
  const { kind } = model;
  const end = (): void => {
    model.ends.push(model.nowMs);
    const counted = model.ends.filter((endMs) => endMs > model.nowMs - rules.windowMs);
    model.kind = counted.length > rules.maxRestarts ? "crash-looping" : "waiting";
  };
  const launchAgain = (): void => {
    model.kind = "starting";
    model.launch++;
  };
  const afterRun = (): void => {
    if (model.nowMs >= model.sinceMs + rules.stableMs) model.ends = [];
  };
  if (kind === "stopped") return;
  if (kind === "stopping") {
    if (type === "stopped") model.kind = "stopped";
    return;
  }
  if (type === "stop") {
    model.kind = "stopping";
    return;
  }
  const dying = kind === "blocked" || kind === "unresponsive";
  const resting = kind === "waiting" || kind === "crash-looping" || kind === "failed";
  if (kind === "starting" && type === "started") {
    model.kind = "running";
    model.sinceMs = model.nowMs;
    model.misses = [];
  } else if (kind === "starting" && type === "launch-failed") {
    if (flag) end();
    else model.kind = "failed";
  } else if (kind === "running" && type === "answered") {
    model.misses = [];
  } else if (kind === "running" && type === "missed") {
    model.misses.push(flag ? "silent" : "not");
    if (model.misses.length === rules.failures) {
      model.kind = model.misses.includes("not") ? "unresponsive" : "blocked";
    }
  } else if ((kind === "running" || dying) && type === "exited") {
    afterRun();
    end();
  } else if (kind === "running" && type === "restart") {
    model.kind = "restarting";
  } else if (kind === "restarting" && type === "exited") {
    afterRun();
    launchAgain();
  } else if ((dying || kind === "restarting") && type === "unkillable") {
    model.kind = "failed";
  } else if (resting && (type === "restart" || type === "reset")) {
    if (type === "reset") model.ends = [];
    launchAgain();
  } else if (kind === "waiting" && type === "delay-over") {
    launchAgain();
  }
}
