import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import { systemClock } from "@cpg/resilience";
import { type BootReport, PlatformError, type PlatformState, type PluginStateEvent } from "../../src/index.ts";
import { codeName } from "../../src/router/call-outcome.ts";
import { createCaller, startPlatform } from "../support/platform-plugins.ts";
import { type ChaosMode, catalogue, chaosPlugin } from "./chaos-catalogue.ts";
import type { ChaosOperation, ChaosStep } from "./chaos-steps.ts";

const giveUpMs = 60_000;
const closeGraceMs = 5_000;

export type ChaosScene = Awaited<ReturnType<typeof startChaosScene>>;

/** A platform of its own, to which steps are done. */
export async function startChaosScene() {
  const roll = await mkdtemp(join(tmpdir(), "cpg-chaos-"));
  const scene = await startPlatform({
    registry: {
      health: { intervalMs: 200, graceMs: 200, timeoutMs: 1_000 },
      access: { rules: [{ effect: "allow", types: ["alpha", "beta"] }] }, // each has two providers
    },
  });
  const { platform } = scene;
  const caller = createCaller(platform, [...new Set(catalogue.map(({ type }) => type))]);

  /** Waits until the state is as wanted; tells how it is, if it does not become so. */
  const until = async (isSo: (state: PlatformState) => boolean, what: () => string): Promise<void> => {
    const how = () =>
      platform
        .state()
        .plugins.map(({ id, state, launches, ends, health }) => `${id} ${state} ${launches} ${ends} ${health?.level}`);
    await within(
      systemClock,
      giveUpMs,
      async (signal) => {
        for await (const state of platform.watch({ signal })) if (isSo(state)) return;
      },
      () => new Error(`it never came to this: ${what()}; it is: ${how().join("; ")}`),
    );
  };

  const run = async (operation: ChaosOperation): Promise<string> => {
    switch (operation.kind) {
      case "add": {
        const { id, minor, mode } = operation;
        const [boot] = await platform.add(chaosPlugin(id, minor, mode, roll), {
          signal: untilUnhealthy(id, mode, "present"),
        });
        return bootOutcome(boot);
      }
      case "add-missing": {
        const there = new Set(platform.plugins().map(({ id }) => id));
        const missing = catalogue.filter(({ id }) => !there.has(id));
        const boots = await platform.add(missing.map(({ id }) => chaosPlugin(id, operation.minor, "", roll)));
        return boots.map((boot) => `${boot.id} ${bootOutcome(boot)}`).join();
      }
      case "remove":
        await platform.remove(operation.id, { force: operation.force, graceMs: 300 });
        return "removed";
      case "restart":
        await platform.restart(operation.id);
        return "restarted";
      case "replace": {
        const { id, minor, mode, allowDowngrade } = operation;
        const signal = untilUnhealthy(id, mode, "next");
        const next = chaosPlugin(id, minor, mode, roll);
        const { error } = await platform.replace(id, next, { allowDowngrade, signal, drainMs: 300 });
        return error === undefined ? "replaced" : `replaced, ${error.message}`;
      }
    }
  };

  /** Gives up a start that waits for a plugin's health: instead of its time-out, which would take its time. */
  const untilUnhealthy = (id: string, mode: ChaosMode, of: PluginStateEvent["of"]): AbortSignal | undefined => {
    if (mode !== "unwell") return undefined;
    const patience = new AbortController();
    const forget = platform.onEvent((event) => {
      const isIt = event.plugin === id && event.type === "state" && event.of === of;
      if (!isIt || event.state !== "starting" || event.stage !== "health") return;
      forget();
      patience.abort(new Error("it is not healthy"));
    });
    return patience.signal;
  };

  const outcomeOf = async (operation: ChaosOperation): Promise<string> => {
    try {
      return await run(operation);
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (!(error.cause instanceof PlatformError)) return `refused: ${codeName(error.code)}`;
      return operation.kind === "replace" ? `not replaced: ${error.cause.stage}` : `failed at ${error.cause.stage}`;
    }
  };

  const pidOf = (id: string): number | undefined =>
    platform.plugins().find((plugin) => plugin.id === id && plugin.state === "running")?.pid;

  const freeze = async (id: string, meanwhile: ChaosOperation, pid: number): Promise<string[]> => {
    process.kill(pid, "SIGSTOP");
    try {
      const isHidden = ({ plugins }: PlatformState) =>
        plugins.find((plugin) => plugin.id === id)?.health?.level === "unhealthy";
      await until(isHidden, () => `${id} is hidden, as it is stopped`);
      return [await outcomeOf(meanwhile)];
    } finally {
      process.kill(pid, "SIGCONT");
    }
  };

  const freezeAnd = async (then: ChaosOperation | undefined, pid: number): Promise<string[]> => {
    process.kill(pid, "SIGSTOP");
    if (then === undefined) process.kill(pid, "SIGKILL");
    const outcomes = then === undefined ? [] : [await outcomeOf(then)];
    signalIfThere(pid, "SIGCONT");
    return outcomes;
  };

  return {
    platform,
    caller,
    roll,
    until,
    /** Does a step, and tells the outcomes of its operations. @param skipped those that are not to be done. */
    async perform(step: ChaosStep, expected: readonly string[]): Promise<readonly string[]> {
      const outcomes = (operations: readonly ChaosOperation[]) =>
        Promise.all(
          operations.map((operation, index) => (expected[index] === "skipped" ? "skipped" : outcomeOf(operation))),
        );
      if (step.kind === "one") return await outcomes([step.operation]);
      if (step.kind === "pair" || step.kind === "overlap") return await outcomes(step.operations);
      const pid = pidOf(step.id);
      if (pid === undefined) return [];
      if (step.kind === "freeze") {
        return expected[0] === "skipped" ? ["skipped"] : await freeze(step.id, step.meanwhile, pid);
      }
      if (step.kind === "freeze-and") return await freezeAnd(step.operation, pid);
      const during = step.during === undefined ? Promise.resolve([]) : outcomes([step.during]);
      process.kill(pid, "SIGKILL");
      return await during;
    },
    close: () => platform.close({ graceMs: closeGraceMs }),
    async [Symbol.asyncDispose]() {
      await platform.close({ graceMs: closeGraceMs });
      await rm(roll, { recursive: true, force: true });
    },
  };
}

function bootOutcome(boot: BootReport[number] | undefined): string {
  return boot?.state === "failed" ? `failed at ${boot.stage}` : (boot?.state ?? "nothing");
}

export function isAlive(pid: number): boolean {
  return signalIfThere(pid, 0);
}

function signalIfThere(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
