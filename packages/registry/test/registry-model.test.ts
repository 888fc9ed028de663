import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRegistryStore } from "../src/state/create-registry-store.ts";
import type { RegistryStore } from "../src/state/registry-store.ts";
import { createWatchHub, type WatchHub } from "../src/watch/create-watch-hub.ts";
import { healthOf, providerOf, serviceOf } from "./support/facts.ts";
import { createModelWatcher, type ModelWatcher, settle, shownTo } from "./support/model-watcher.ts";
import { createRegistryModel, type Operation, type RegistryModel, shownView } from "./support/registry-model.ts";

const maxRegistrations = 5;
const maxWatchers = 6;
/** Few changes, so that they are forgotten while somebody still needs them. */
const history = 4;
const types = ["x", "y"];

interface System {
  readonly store: RegistryStore;
  readonly hub: WatchHub;
  readonly model: RegistryModel;
  /** What was to be seen of each type, by revision. */
  readonly past: Map<number, Readonly<Record<string, string>>>;
  readonly watchers: ModelWatcher[];
  readonly failures: unknown[];
}

function createSystem(): System {
  const store = createRegistryStore({ limits: { registrations: maxRegistrations }, epoch: "e" });
  const hub = createWatchHub({ store, limits: { history } });
  const model = createRegistryModel(maxRegistrations);
  const system: System = { store, hub, model, past: new Map(), watchers: [], failures: [] };
  remember(system);
  return system;
}

function remember({ store, model, past }: System): void {
  past.set(store.revision, Object.fromEntries(types.map((type) => [type, model.shown(type)])));
}

function perform({ store, failures }: System, operation: Operation): void {
  const { id } = operation;
  switch (operation.kind) {
    case "register":
      try {
        store.register(providerOf(id, operation), serviceOf(operation.type, { version: operation.version }));
      } catch (error) {
        if (ConnectError.from(error).code !== Code.ResourceExhausted) failures.push(error);
      }
      break;
    case "unregister":
      store.unregister(store.find(operation.type, id)?.id ?? "none", "unregistered");
      break;
    case "remove":
      store.removeProvider(id, "revoked");
      break;
    case "health":
      store.setHealth(id, healthOf(operation.level));
      break;
    case "drain":
      store.setDraining(id);
      break;
  }
}

/** Takes what a watcher was given, each event checked against the one before and against the past. */
function take({ past }: System, watcher: ModelWatcher): string[] {
  return watcher.given.splice(0).map((view) => {
    const { last } = watcher;
    const shown = shownTo(watcher, view);
    expect(watcher.look(past.get(view.revision)?.[watcher.type] ?? "unknown")).toBe(shown);
    const isNews = last === undefined || (view.revision > last.revision && shown !== shownTo(watcher, last));
    expect({ isNews: view.restarted || isNews, view, last }).toMatchObject({ isNews: true });
    watcher.last = view;
    return shown;
  });
}

/** What was to be seen after a revision, each thing once. */
function missedSince({ past }: System, type: string, since: number, look: (shown: string) => string): string[] {
  const seen = [look(past.get(since)?.[type] ?? "unknown")];
  for (const [revision, shown] of past) {
    const next = look(shown[type] ?? "");
    if (revision > since && next !== seen.at(-1)) seen.push(next);
  }
  return seen.slice(1);
}

class Command implements fc.AsyncCommand<System, undefined> {
  readonly name: string;
  readonly body: (system: System) => void | Promise<void>;

  constructor(name: string, body: (system: System) => void | Promise<void>) {
    this.name = name;
    this.body = body;
  }

  check(): boolean {
    return true;
  }

  async run(system: System): Promise<void> {
    const { store, hub, model, watchers, failures } = system;
    const { revision } = store;
    await this.body(system);
    await settle();
    expect(failures).toEqual([]);
    expect(store.revision).toBeGreaterThanOrEqual(revision);
    expect(hub.size).toBe(watchers.length);
    for (const type of types) expect(shownView(hub.view(type))).toBe(model.shown(type));
    for (const watcher of watchers) take(system, watcher);
  }

  toString(): string {
    return this.name;
  }
}

const id = fc.constantFrom("a", "b", "c");
const type = fc.constantFrom(...types);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("register" as const),
      id,
      type,
      version: fc.constantFrom("1.0.0", "2.0.0"),
      instance: fc.constantFrom("i", "j", "k"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("unregister" as const), id, type }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("health" as const),
      id,
      level: fc.constantFrom("healthy" as const, "degraded" as const, "unhealthy" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain" as const), id }) },
);

/** Operations between which nobody has time to read. */
const burst = fc.array(operation, { minLength: 1, maxLength: 4 }).map(
  (operations) =>
    new Command(`burst: ${operations.map((one) => Object.values(one).join(" ")).join("; ")}`, async (system) => {
      const eager = system.watchers.filter((watcher) => watcher.eager);
      const looks = () => eager.map(({ look, type }) => look(system.model.shown(type)));
      const states = [looks()];
      for (const one of operations) {
        system.model.apply(one);
        perform(system, one);
        remember(system);
        states.push(looks());
      }
      await settle();
      // Who waits is given the first change, and after that reads what there is then.
      for (const [index, watcher] of eager.entries()) {
        const [before, ...later] = states.map((shown) => shown[index]);
        const first = later.find((shown) => shown !== before);
        const newest = later.at(-1);
        expect(take(system, watcher)).toEqual(
          [first, newest].filter(
            (shown, place, all) => shown !== undefined && first !== undefined && shown !== all[place - 1],
          ),
        );
      }
    }),
);

const open = fc.record({ type, basics: fc.boolean(), eager: fc.boolean() }).map(
  (options) =>
    new Command(`open ${JSON.stringify(options)}`, async (system) => {
      const { hub, watchers, failures, model } = system;
      if (watchers.length >= maxWatchers) return;
      const watcher = createModelWatcher(hub, options, (reason) => failures.push(reason));
      watchers.push(watcher);
      watcher.read();
      await settle();
      expect(take(system, watcher)).toEqual([watcher.look(model.shown(options.type))]);
    }),
);

const readOne = fc
  .nat(maxWatchers - 1)
  .map((index) => new Command(`read ${index}`, ({ watchers }) => watchers[index]?.read()));

/** A watcher loses its connection and comes back with a cursor: its own, or one that means nothing here. */
const resume = fc
  .record({ index: fc.nat(maxWatchers - 1), cursor: fc.constantFrom("own", "other epoch", "future") })
  .map(
    ({ index, cursor }) =>
      new Command(`resume ${index} with ${cursor} cursor`, async (system) => {
        const { store, model, watchers } = system;
        const watcher = watchers[index];
        const base = watcher?.last;
        if (watcher === undefined || base === undefined) return;
        const missed = missedSince(system, watcher.type, base.revision, watcher.look);
        const changes = types.flatMap((type) => missedSince(system, type, base.revision, (shown) => shown));
        watcher.resume({
          revision: cursor === "future" ? store.revision + 1 : base.revision,
          epoch: cursor === "other epoch" ? "other" : base.epoch,
        });
        await watcher.readAll();

        const restarted = watcher.given[0]?.restarted ?? false;
        const isKnown = cursor === "own";
        expect({ isKnown, restarted }).not.toEqual({ isKnown: false, restarted: false });
        expect({ isKnown, restarted, fits: changes.length <= history }).not.toEqual({
          isKnown: true,
          restarted: true,
          fits: true,
        });
        expect(take(system, watcher)).toEqual(restarted ? [watcher.look(model.shown(watcher.type))] : missed);
      }),
  );

const leave = fc
  .nat(maxWatchers - 1)
  .map((index) => new Command(`leave ${index}`, ({ watchers }) => watchers.splice(index, 1)[0]?.leave()));

describe("registry and watchers, against a model", () => {
  it("each watcher's last event is the state, no event is a repetition, and revisions only rise", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([burst, burst, burst, open, open, readOne, readOne, resume, leave], {
          maxCommands: 40,
          size: "max",
        }),
        async (commands) => {
          const system = createSystem();
          await fc.asyncModelRun(() => ({ model: system, real: undefined }), commands);
          for (const watcher of system.watchers) {
            await watcher.readAll();
            take(system, watcher);
            expect(watcher.last && shownTo(watcher, watcher.last)).toBe(watcher.look(system.model.shown(watcher.type)));
            watcher.leave();
          }
          expect(system.hub.size).toBe(0);
          expect(system.failures).toEqual([]);
        },
      ),
      { numRuns: 1_000 },
    );
  }, 60_000);
});
