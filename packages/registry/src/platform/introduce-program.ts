import { Code, ConnectError } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import { type Clock, createBackoff } from "@cpg/resilience";
import type { AttachOptions } from "../attach/attach-options.ts";
import type { AttachTarget } from "../attach/attach-target.ts";
import type { AttachedPlugin } from "../attach/attached-plugin.ts";
import type { PluginDescription } from "../attach/plugin-description.ts";
import type { Registry } from "../create-registry.ts";
import type { StartStage } from "./plugin-state.ts";

export interface ProgramIntroduction {
  readonly registry: Pick<Registry, "attach" | "providers" | "onChange">;
  readonly target: AttachTarget;
  readonly options: Omit<AttachOptions, "signal" | "onStage">;
  /** Bound on all of it, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Hears which stage begins. */
  onStage(stage: StartStage): void;
  /** What it throws refuses the plugin, before it has an identity. */
  check(info: PluginDescription): void;
  /** It has its identity; whether it stays is not settled yet. */
  onAttached(attached: AttachedPlugin): void;
}

/**
 * Attaches a program that runs, and waits until it says that it is healthy, and until the registry takes it for that. If
 * any of that fails, it is not attached.
 * @throws {ConnectError} as `Registry.attach`; `deadline_exceeded`; what `check` throws; the reason of the signal.
 */
export async function introduceProgram(introduction: ProgramIntroduction): Promise<AttachedPlugin> {
  const { registry, target, options, timeoutMs, clock, onStage, check } = introduction;
  let doing = "it has not told what it is";
  const work = async (signal: AbortSignal): Promise<AttachedPlugin> => {
    onStage("describe");
    const attached = await registry.attach(target, {
      ...options,
      signal,
      onStage(stage, info) {
        if (stage === "identity") {
          onStage("dependencies");
          check(info);
        }
        onStage(stage);
        doing = stage === "identity" ? "it has not taken its identity" : "it has not registered what it provides";
      },
    });
    try {
      signal.throwIfAborted();
      introduction.onAttached(attached);
      onStage("health");
      doing = "it does not say that it is healthy";
      const isHealthy = async () => (await attached.health({ signal }))?.level !== "unhealthy";
      await until(isHealthy, { ...introduction, providerId: attached.identity.runtimeId, signal });
      onStage("route");
      doing = "the registry does not take it for healthy";
      const { runtimeId } = attached.identity;
      const isRouted = async () => {
        const provider = registry.providers().find(({ id }) => id === runtimeId);
        return provider?.health.level !== "unhealthy";
      };
      await until(isRouted, { ...introduction, providerId: runtimeId, signal });
      return attached;
    } catch (reason) {
      attached.detach();
      throw reason;
    }
  };
  const tooLate = () => new ConnectError(`${doing} within ${timeoutMs} ms`, Code.DeadlineExceeded);
  return await within(clock, timeoutMs, work, tooLate, introduction.signal);
}

interface Wait extends Pick<ProgramIntroduction, "registry" | "clock"> {
  readonly providerId: string;
  readonly signal: AbortSignal;
}

/** Looks again at each change of the provider; and after a while, as a plugin need not tell that it got well. */
async function until(isSo: () => Promise<boolean>, { registry, clock, providerId, signal }: Wait): Promise<void> {
  const backoff = createBackoff({ initialMs: 50, maxMs: 1_000, jitter: "none" });
  let changed = new AbortController();
  const forget = registry.onChange((change) => {
    if ("provider" in change && change.provider.id === providerId) changed.abort("it changed");
  });
  try {
    while (!(await isSo())) {
      await clock.sleep(backoff.next(), AbortSignal.any([signal, changed.signal])).catch(() => signal.throwIfAborted());
      changed = new AbortController();
    }
    signal.throwIfAborted();
  } finally {
    forget();
  }
}
