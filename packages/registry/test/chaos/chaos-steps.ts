import { type ChaosMode, catalogue, factsOf } from "./chaos-catalogue.ts";

/** Something that somebody asks the platform for. */
export type ChaosOperation =
  | { readonly kind: "add"; readonly id: string; readonly minor: number; readonly mode: ChaosMode }
  /** All that are not there, at once. */
  | { readonly kind: "add-missing"; readonly minor: number }
  | { readonly kind: "remove"; readonly id: string; readonly force: boolean }
  | {
      readonly kind: "replace";
      readonly id: string;
      readonly minor: number;
      readonly mode: ChaosMode;
      readonly allowDowngrade: boolean;
    }
  | { readonly kind: "restart"; readonly id: string };

export type OperationOnOne = Exclude<ChaosOperation, { kind: "add-missing" }>;

export type ChaosStep =
  | { readonly kind: "one"; readonly operation: ChaosOperation }
  /** On plugins that have nothing to do with each other, at once. */
  | { readonly kind: "pair"; readonly operations: readonly [OperationOnOne, OperationOnOne] }
  /** On the same plugin, the second in the same turn as the first. */
  | { readonly kind: "overlap"; readonly operations: readonly [OperationOnOne, OperationOnOne] }
  /** SIGKILL. `during`: right after this was begun with the same plugin. */
  | { readonly kind: "kill"; readonly id: string; readonly during?: OperationOnOne | undefined }
  /** SIGSTOP; when it is hidden, `meanwhile` something is done elsewhere; then SIGCONT. */
  | { readonly kind: "freeze"; readonly id: string; readonly meanwhile: OperationOnOne }
  /** SIGSTOP, and this is done to it then, or SIGKILL. */
  | { readonly kind: "freeze-and"; readonly id: string; readonly operation: OperationOnOne | undefined };

/** A number from 0 that is less than `below`. */
export type Draw = (below: number) => number;

const kinds = weighted({ one: 106, pair: 26, overlap: 24, kill: 24, during: 12, freeze: 3, "freeze-and": 5 });
const operationKinds = weighted({ add: 27, "add-missing": 3, remove: 29, replace: 27, restart: 14 });
const modes = weighted<ChaosMode>({ "": 55, slow: 8, fail: 15, crash: 13, unwell: 9 });

export function drawStep(draw: Draw): ChaosStep {
  const { id } = pick(catalogue, draw);
  const elsewhere = catalogue.filter(({ part }) => part !== factsOf(id).part);
  switch (pick(kinds, draw)) {
    case "one":
      return { kind: "one", operation: drawOperation(id, draw) };
    case "pair":
      return { kind: "pair", operations: [onOne(id, draw), onOne(pick(elsewhere, draw).id, draw)] };
    case "overlap":
      return { kind: "overlap", operations: [onOne(id, draw), onOne(id, draw)] };
    case "kill":
      return { kind: "kill", id };
    case "during":
      return { kind: "kill", id, during: draw(3) === 0 ? removal(id, draw) : replacement(id, draw) };
    case "freeze":
      return { kind: "freeze", id, meanwhile: onOne(pick(elsewhere, draw).id, draw) };
    case "freeze-and":
      return { kind: "freeze-and", id, operation: [undefined, removal(id, draw), replacement(id, draw)][draw(3)] };
  }
}

/** What is asked of the platform in a step, in the order in which the outcomes are told. */
export function operationsOf(step: ChaosStep): readonly ChaosOperation[] {
  switch (step.kind) {
    case "one":
      return [step.operation];
    case "pair":
    case "overlap":
      return step.operations;
    case "kill":
      return step.during === undefined ? [] : [step.during];
    case "freeze":
      return [step.meanwhile];
    case "freeze-and":
      return step.operation === undefined ? [] : [step.operation];
  }
}

function drawOperation(id: string, draw: Draw): ChaosOperation {
  switch (pick(operationKinds, draw)) {
    case "add":
      return { kind: "add", id, minor: draw(3), mode: pick(modes, draw) };
    case "add-missing":
      return { kind: "add-missing", minor: draw(3) };
    case "remove":
      return removal(id, draw);
    case "replace":
      return replacement(id, draw);
    case "restart":
      return { kind: "restart", id };
  }
}

function onOne(id: string, draw: Draw): OperationOnOne {
  for (;;) {
    const operation = drawOperation(id, draw);
    if (operation.kind !== "add-missing") return operation;
  }
}

function removal(id: string, draw: Draw): OperationOnOne {
  return { kind: "remove", id, force: draw(3) === 0 };
}

function replacement(id: string, draw: Draw): OperationOnOne {
  return { kind: "replace", id, minor: draw(3), mode: pick(modes, draw), allowDowngrade: draw(2) === 0 };
}

function pick<T>(choices: readonly T[], draw: Draw): T {
  return choices[draw(choices.length)] as T;
}

function weighted<Name extends string>(weights: Readonly<Record<Name, number>>): readonly Name[] {
  return (Object.keys(weights) as Name[]).flatMap((name) => Array<Name>(weights[name]).fill(name));
}

/** Mulberry32, by Tommy Ettinger, public domain. */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
