import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { catalogue, factsOf, versionOf } from "./chaos-catalogue.ts";
import { type ChaosModel, type ModelPlugin, providersOf } from "./chaos-model.ts";
import { type ChaosScene, isAlive } from "./chaos-scene.ts";

const types = [...new Set(catalogue.map(({ type }) => type))];

/** Resolves once all is quiet: each plugin as the model has it, and those that run are healthy. */
export async function whenQuiet(scene: ChaosScene, model: ChaosModel): Promise<void> {
  const wanted = summary([...model.plugins.values()].map((plugin) => ({ ...plugin, health: healthy(plugin) })));
  await scene.until(
    ({ plugins }) => summary(plugins) === wanted,
    () => wanted,
  );
}

interface Standing extends Pick<ModelPlugin, "id" | "launches" | "ends"> {
  readonly state: string;
  readonly health: { readonly level: string } | undefined;
}

function summary(plugins: readonly Standing[]): string {
  const texts = plugins.map(({ id, state, launches, ends, health }) =>
    [id, state, launches, ends, health?.level].join(" "),
  );
  return texts.toSorted().join("; ");
}

function healthy({ state }: ModelPlugin): { readonly level: string } | undefined {
  return state === "running" ? { level: "healthy" } : undefined;
}

/** A runtime id that was a plugin's before a step. */
export interface FormerRun {
  readonly id: string;
  readonly runtimeId: string;
  /** Whether calls that name it have to go to its successor. */
  readonly succeeded: boolean;
}

/** Who is called by name. */
export interface Questions {
  readonly former: readonly FormerRun[];
  /** Ids of plugins, whether they run or not. */
  readonly asked: ReadonlySet<string>;
}

/** What the platform, its registry, its router and the system's processes tell; each side by itself. */
export async function observed({ platform, caller, roll }: ChaosScene, { former, asked }: Questions) {
  const state = platform.state();
  const present = platform.plugins();
  const idOfPid = new Map(present.map(({ id, pid }) => [pid, id]));
  const idOfRun = new Map(present.map(({ id, runtimeId }) => [runtimeId, id]));
  /** Who answered: "ID VERSION". */
  const answerOf = async (type: string, provider?: string): Promise<string> => {
    const text = await caller.call(type, "hello", provider);
    const [version, pid] = text.split(" ");
    return pid === undefined ? text : `${idOfPid.get(Number(pid)) ?? "an unknown process"} ${version}`;
  };
  const living = await livingOf(roll);
  return {
    plugins: state.plugins.map((plugin) => standingOf(plugin)).toSorted(),
    snapshots: present.map((plugin) => standingOf(plugin)).toSorted(),
    /** What is not as it is when nothing is going on. */
    unrest: state.plugins.flatMap(({ id, operation, replacing, inFlight, draining }) =>
      operation === undefined && replacing === undefined && inFlight === 0 && !draining ? [] : [id],
    ),
    providers: platform.registry
      .providers()
      .map(({ id, draining, standby, inFlight, registrations }) => {
        const services = registrations.map(({ type, version }) => `${type} ${version}`);
        return [idOfRun.get(id), ...services, draining, standby, inFlight].join(" ");
      })
      .toSorted(),
    identities: platform.host.identities.size,
    services: state.services
      .filter(({ state: now }) => now === "available")
      .map(({ type, providers }) =>
        [type, ...providers.map(({ providerId }) => idOfRun.get(providerId)).toSorted()].join(" "),
      )
      .toSorted(),
    edges: state.graph.edges
      .filter(({ consumer }) => consumer !== caller.runtimeId)
      .map(({ consumer, type, providers }) => [consumer, type, ...providers.toSorted()].join(" "))
      .toSorted(),
    problems: state.graph.problems
      .map((problem) => (problem.kind === "cycle" ? "a circle" : `${problem.consumer} ${problem.type}`))
      .toSorted(),
    processes: living.map((pid) => idOfPid.get(pid) ?? `unknown: ${pid}`).toSorted(),
    calls: await Promise.all(types.map((type) => answerOf(type))),
    named: await Promise.all(
      present.flatMap(({ id, runtimeId }) =>
        asked.has(id) && runtimeId !== undefined ? [answerOf(factsOf(id).type, runtimeId)] : [],
      ),
    ),
    former: await Promise.all(former.map(({ id, runtimeId }) => answerOf(factsOf(id).type, runtimeId))),
  };
}

type Observed = Awaited<ReturnType<typeof observed>>;

/** What they have to tell. Which provider of several answered is up to the host: that is taken as it was seen. */
export function predicted({ plugins }: ChaosModel, seen: Observed, { former, asked }: Questions): Observed {
  const all = [...plugins.values()];
  const running = all.filter(({ state }) => state === "running");
  const ids = running.map(({ id }) => id).toSorted();
  const answerOf = ({ id, minor }: ModelPlugin) => `${id} ${versionOf(minor)}`;
  const needs = running
    .flatMap(({ id }) =>
      factsOf(id).needs.map((need) => {
        const from = providersOf(need, running).map((provider) => provider.id);
        return { ...need, who: id, from: from.toSorted() };
      }),
    )
    .toSorted((a, b) => (`${a.who} ${a.type}` < `${b.who} ${b.type}` ? -1 : 1));
  const standings = all.map((plugin) => standingOf(plugin)).toSorted();
  return {
    plugins: standings,
    snapshots: standings,
    unrest: [],
    providers: running.map(({ id, minor }) => `${id} ${factsOf(id).type} ${versionOf(minor)} false false 0`).toSorted(),
    identities: running.length + 1, // the caller's
    services: types
      .map((type) => [type, ...ids.filter((id) => factsOf(id).type === type)])
      .filter((service) => service.length > 1)
      .map((service) => service.join(" "))
      .toSorted(),
    edges: needs.filter(({ from }) => from.length > 0).map(({ who, type, from }) => [who, type, ...from].join(" ")),
    problems: needs
      .filter(({ from, required }) => required && from.length === 0)
      .map(({ who, type }) => `${who} ${type}`),
    processes: ids,
    calls: types.map((type, index) => {
      const answers = running.filter(({ id }) => factsOf(id).type === type).map((plugin) => answerOf(plugin));
      const known = all.some(({ id }) => factsOf(id).type === type);
      const answer = seen.calls[index] ?? "";
      return answers.length === 0
        ? known
          ? "unavailable"
          : "not_found"
        : answers.includes(answer)
          ? answer
          : answers.join(" or ");
    }),
    named: running.filter(({ id }) => asked.has(id)).map((plugin) => answerOf(plugin)),
    former: former.map(({ id, succeeded }) => {
      const plugin = plugins.get(id);
      return succeeded && plugin !== undefined ? answerOf(plugin) : "not_found";
    }),
  };
}

function standingOf({ id, state, launches, ends }: Omit<Standing, "health">): string {
  return [id, state, launches, ends].join(" ");
}

/** The pids of plugins that live, of all that signed. Those that do not are struck off. */
export async function livingOf(roll: string): Promise<number[]> {
  const pids = (await readdir(roll)).map(Number);
  const ended = pids.filter((pid) => !isAlive(pid));
  await Promise.all(ended.map((pid) => unlink(join(roll, `${pid}`))));
  return pids.filter((pid) => !ended.includes(pid));
}
