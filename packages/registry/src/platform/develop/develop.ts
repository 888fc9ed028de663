import { resolve } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { callListener, within } from "@cpg/core/extension";
import { type Clock, systemClock } from "@cpg/resilience";
import type { Platform, ReplaceOptions } from "../platform.ts";
import type { PlatformPlugin } from "../platform-plugin.ts";
import type { DevelopEvent, DevelopNews } from "./develop-event.ts";
import { createDevelopmentLoop } from "./development-loop.ts";
import { filePatterns } from "./file-patterns.ts";
import { runBuildCommand } from "./run-build-command.ts";
import { watchTree } from "./watch-tree.ts";

export interface DevelopOptions {
  /** Of the plugin in the platform. */
  readonly id: string;
  /**
   * What it is made of: files, directories (everything below them), or patterns such as "src/**\/*.ts", with `*`, `?` and
   * `**`. Hidden files and directories, and node_modules, never count. What the build writes must not be among them.
   */
  readonly files: readonly string[];
  /**
   * Runs after a change and before the plugin is replaced: a program with its arguments, without a shell, or a function.
   * Default: nothing is to be built.
   */
  readonly build?: readonly string[] | ((how: BuildContext) => unknown) | undefined;
  /** What takes the plugin's place. */
  readonly next: () => PlatformPlugin | Promise<PlatformPlugin>;
  /** Where relative paths start, and the build runs. Default: the present directory. */
  readonly cwd?: string | undefined;
  /** How long nothing may change before the build begins, in ms; after ten times that it begins anyway. From 1. Default 200. */
  readonly debounceMs?: number | undefined;
  /** Bound on the build, and on `next`, in ms. Greater than 0. Default 300 000. */
  readonly buildTimeoutMs?: number | undefined;
  /** How it is replaced. `streamGraceMs` is 1 000 by default here, so that long streams do not hold up the next change. */
  readonly replace?: Omit<ReplaceOptions, "signal"> | undefined;
  /** Directories that are watched at a time. Whole number from 1. Default 1 000. */
  readonly maxDirectories?: number | undefined;
  /** Hears what happens. What it throws is dropped. */
  readonly onEvent?: ((event: DevelopEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
}

export interface BuildContext {
  /** The first files that changed, at most 100. */
  readonly files: readonly string[];
  /** Aborts when the build takes too long, or nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/** A plugin whose files are watched. */
export interface Development extends AsyncDisposable {
  /** Ends the watch, and what is under way: a running build is ended with all that it started. Idempotent. Never rejects. */
  close(): Promise<void>;
}

/**
 * Watches the files of a plugin, and builds and replaces it when they change: one at a time, and once more for whatever
 * changed meanwhile. If a build or a replacement fails, the plugin runs on as it is, and `onEvent` hears why. Ends with the
 * platform.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {ConnectError} `not_found` when there is no such
 * plugin, `unavailable` when the platform closes. {Error} of the system when files cannot be watched.
 * @example
 * const entry = "./kv.ts";
 * const kv = () => ({ id: "kv", strategy: nodeStrategy({ entry }), plugins: { kv: kvPlugin } });
 * await platform.add(kv());
 * await using development = develop(platform, { id: "kv", files: [entry, "src"], next: kv, onEvent: console.log });
 */
export function develop(
  platform: Pick<Platform, "replace" | "plugins"> & { readonly host: Pick<Platform["host"], "draining"> },
  options: DevelopOptions,
): Development {
  const { id, build, next, cwd = ".", debounceMs = 200, buildTimeoutMs = 300_000, maxDirectories = 1_000 } = options;
  const { replace = {}, onEvent, clock = systemClock } = options;
  const { streamGraceMs = 1_000 } = replace;
  checkMs("debounceMs", debounceMs, 1);
  checkMs("buildTimeoutMs", buildTimeoutMs, Number.MIN_VALUE);
  if (!Number.isSafeInteger(maxDirectories) || maxDirectories < 1) {
    throw new RangeError(`maxDirectories must be a whole number from 1, got ${maxDirectories}`);
  }
  if (typeof next !== "function") throw new TypeError("next must be a function");
  checkBuild(build);
  const place = resolve(cwd);
  const patterns = filePatterns(options.files, place);
  if (!platform.plugins().some((plugin) => plugin.id === id)) {
    throw new ConnectError(`there is no plugin ${id}`, Code.NotFound);
  }
  const { draining } = platform.host;
  draining.throwIfAborted();

  const ending = new AbortController();
  const { signal } = ending;
  const tell = (news: DevelopNews): void => {
    if (signal.aborted) return;
    callListener(
      () => onEvent?.({ ...news, plugin: id, timeMs: clock.now() }),
      () => {},
    );
  };
  const bounded = async <T>(what: string, work: (bound: AbortSignal) => T | Promise<T>): Promise<T> => {
    const late = () => new Error(`${what} took longer than ${buildTimeoutMs} ms`);
    return await within(clock, buildTimeoutMs, async (bound) => work(bound), late, signal);
  };
  const runBuild = async (files: readonly string[]): Promise<void> => {
    if (typeof build === "function") await bounded("the build", (bound) => build({ files, signal: bound }));
    else if (build !== undefined) {
      await runBuildCommand({ command: build, cwd: place, timeoutMs: buildTimeoutMs, clock, signal });
    }
  };

  const work = async (files: readonly string[]): Promise<void> => {
    tell({ type: "changed", files });
    const beganMs = clock.monotonic();
    try {
      await runBuild(files);
    } catch (reason) {
      tell({ type: "build-failed", error: reason instanceof Error ? reason : new Error(String(reason)) });
      return;
    }
    if (build !== undefined) tell({ type: "built", durationMs: clock.monotonic() - beganMs });
    try {
      const plugin = await bounded("next", () => next());
      const report = await platform.replace(id, plugin, { ...replace, streamGraceMs, signal });
      tell({ type: "replaced", report });
    } catch (reason) {
      tell({ type: "not-replaced", error: ConnectError.from(reason) });
    }
  };

  const loop = createDevelopmentLoop({ clock, debounceMs, signal, work });
  const endNow = (): void => {
    draining.removeEventListener("abort", endNow);
    watch?.close();
    ending.abort(new ConnectError("the development has ended", Code.Canceled));
  };
  let watch: ReturnType<typeof watchTree> | undefined;
  try {
    watch = watchTree({
      roots: patterns.roots,
      maxDirectories,
      onChange: (file) => patterns.matches(file) && loop.changed(file),
      onError: (error) => tell({ type: "watch-failed", error }),
    });
  } catch (reason) {
    endNow();
    throw reason;
  }
  draining.addEventListener("abort", endNow, { once: true });
  const close = async (): Promise<void> => {
    endNow();
    await loop.ended;
  };
  return { close, [Symbol.asyncDispose]: close };
}

function checkMs(option: string, value: number, least: number): void {
  if (!(value >= least && value <= maxMs)) {
    const from = least === 1 ? "from 1" : "greater than 0";
    throw new RangeError(`${option} must be ${from} and at most ${maxMs}, got ${value}`);
  }
}

const maxMs = 2 ** 31 - 1;

function checkBuild(build: DevelopOptions["build"]): void {
  if (build === undefined || typeof build === "function") return;
  const [program = ""] = Array.isArray(build) ? build : [];
  if (program === "" || build.some((part) => typeof part !== "string" || part.includes("\0"))) {
    throw new TypeError("build must be a function, or a program and its arguments");
  }
}
