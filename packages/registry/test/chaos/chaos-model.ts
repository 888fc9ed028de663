import { type ChaosMode, type ChaosNeed, catalogue, factsOf, maxRestarts } from "./chaos-catalogue.ts";
import type { ChaosOperation, ChaosStep, OperationOnOne } from "./chaos-steps.ts";

/** A plugin as it has to be. */
export interface ModelPlugin {
  readonly id: string;
  readonly minor: number;
  readonly mode: ChaosMode;
  readonly state: "running" | "failed" | "crash-looping";
  readonly launches: number;
  readonly ends: number;
}

/** What has to become of operations, and of the plugins by them. Plain data; knows nothing of the platform. */
export interface ChaosModel {
  readonly plugins: ReadonlyMap<string, ModelPlugin>;
  /** Does a step, and tells the outcome of each of its operations. */
  perform(step: ChaosStep): readonly string[];
}

export function createChaosModel(): ChaosModel {
  const plugins = new Map<string, ModelPlugin>();
  const isRunning = (id: string) => plugins.get(id)?.state === "running";

  const perform = (operation: ChaosOperation): string => {
    if (operation.kind === "add-missing") {
      const missing = catalogue.filter(({ id }) => !plugins.has(id));
      return missing.map(({ id }) => `${id} ${start(id, operation.minor, "")}`).join();
    }
    const { id } = operation;
    const present = plugins.get(id);
    if (operation.kind === "add") {
      return present === undefined ? start(id, operation.minor, operation.mode) : "refused: already_exists";
    }
    if (present === undefined) return "refused: not_found";
    switch (operation.kind) {
      case "remove":
        if (!operation.force && breaksWithout(id)) return "refused: failed_precondition";
        plugins.delete(id);
        return "removed";
      case "restart":
        if (present.state === "failed") {
          if (present.mode === "unwell") return "skipped"; // nothing but its time-out would end that
          const outcome = start(id, present.minor, present.mode);
          return outcome === "running" ? "restarted" : outcome;
        }
        plugins.set(id, { ...present, state: "running", launches: present.launches + 1 });
        return "restarted";
      case "replace": {
        const { minor, mode, allowDowngrade } = operation;
        const problem = failureOf(id, mode);
        if (problem !== undefined) return `not replaced: ${replaceStages[problem]}`;
        if (minor < present.minor && (!allowDowngrade || isNeeded(id, present.minor, minor))) {
          return "not replaced: check";
        }
        plugins.set(id, { id, minor, mode, state: "running", launches: 1, ends: 0 });
        return "replaced";
      }
    }
  };

  const start = (id: string, minor: number, mode: ChaosMode): string => {
    const problem = failureOf(id, mode);
    const state = problem === undefined ? "running" : "failed";
    plugins.set(id, { id, minor, mode, state, launches: problem === undefined ? 1 : 0, ends: 0 });
    return problem === undefined ? "running" : `failed at ${problem}`;
  };

  /** The stage at which a start fails. */
  const failureOf = (id: string, mode: ChaosMode): keyof typeof replaceStages | undefined => {
    const isMet = (need: ChaosNeed) => providersOf(need, [...plugins.values()]).length > 0;
    if (factsOf(id).needs.some((need) => need.required && !isMet(need))) return "dependencies";
    return mode === "" || mode === "slow" ? undefined : failures[mode];
  };

  const running = () => [...plugins.values()].filter(({ state }) => state === "running");

  /** Whether somebody who has what he needs would lose some of it. */
  const breaksWithout = (removed: string): boolean => {
    const present = running();
    const left = present.filter(({ id }) => id !== removed);
    return left.some(({ id }) =>
      factsOf(id).needs.some(
        (need) => need.required && providersOf(need, present).length > 0 && providersOf(need, left).length === 0,
      ),
    );
  };

  /** Whether some requirement is met by 1.`before`.0 of a plugin and not by 1.`after`.0 of it, and by no other. */
  const isNeeded = (id: string, before: number, after: number): boolean => {
    const present = plugins.get(id);
    if (present === undefined) return false;
    const others = running().filter((one) => one.id !== id);
    const isMet = (need: ChaosNeed, minor: number) =>
      providersOf(need, [...others, { ...present, minor, state: "running" }]).length > 0;
    return running().some((one) =>
      factsOf(one.id).needs.some((need) => need.required && isMet(need, before) && !isMet(need, after)),
    );
  };

  const kill = (id: string): void => {
    const present = plugins.get(id);
    if (present?.state !== "running") return;
    const ends = present.ends + 1;
    const isOver = ends > maxRestarts;
    const launches = isOver ? present.launches : present.launches + 1;
    plugins.set(id, { ...present, ends, launches, state: isOver ? "crash-looping" : "running" });
  };

  const overlap = ([first, second]: readonly [OperationOnOne, OperationOnOne]): readonly string[] => {
    const outcome = perform(first);
    if (outcome.startsWith("refused") || outcome === "skipped") return [outcome, perform(second)];
    return [outcome, second.kind === "add" ? "refused: already_exists" : "refused: aborted"];
  };

  return {
    plugins,
    perform(step) {
      switch (step.kind) {
        case "one":
          return [perform(step.operation)];
        case "pair":
          return step.operations.map((operation) => perform(operation));
        case "overlap":
          return overlap(step.operations);
        case "kill": {
          if (!isRunning(step.id)) return [];
          const outcomes = step.during === undefined ? [] : [perform(step.during)];
          if (outcomes[0] !== "replaced") kill(step.id);
          return outcomes;
        }
        case "freeze":
          return isRunning(step.id) ? [perform(step.meanwhile)] : [];
        case "freeze-and":
          if (!isRunning(step.id)) return [];
          if (step.operation !== undefined) return [perform(step.operation)];
          kill(step.id);
          return [];
      }
    },
  };
}

const failures = { fail: "launch", crash: "describe", unwell: "health" } as const;
const replaceStages = { dependencies: "introduce", launch: "launch", describe: "introduce", health: "health" } as const;

/** Of those that run, who meets a need. */
export function providersOf({ type, minMinor }: ChaosNeed, plugins: readonly ModelPlugin[]): readonly ModelPlugin[] {
  return plugins.filter(
    ({ id, state, minor }) => state === "running" && minor >= minMinor && factsOf(id).type === type,
  );
}
