import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { extname } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { KeptGroup } from "./kept-group.ts";
import { signalGroup } from "./process-group.ts";

/** Sees to it that no watched process group or directory outlives this process, however this process ends. */
export interface Guardian {
  /** Resolves when the guardian runs. @throws {Error} when it cannot be started. */
  ready(): Promise<void>;
  /**
   * To be called before a process is started, with a variable "NAME=value" that it will have and no other: should this
   * process be killed between its start and `watch`, the guardian finds it by that. On Linux only.
   */
  expect(variable: string): void;
  /** Takes effect before it returns: a host that is killed right after leaves nothing behind. */
  watch(pgid: number): void;
  forget(pgid: number): void;
  /** From now on a watched group and its directory outlive this process, for as long as it says. `forget` ends that. */
  keep(group: KeptGroup): void;
  watchDirectory(path: string): void;
  forgetDirectory(path: string): void;
  /** Of the guardian's process, while there is one. */
  readonly pid: number | undefined;
  /** Resolves when that process has ended, and another was started if there are groups to watch. */
  readonly replaced: Promise<void> | undefined;
}

export interface GuardianOptions {
  /** Command line of the guardian's program. */
  readonly command: readonly [string, ...string[]];
}

type GuardianProcess = ChildProcessByStdio<Writable, Readable, null>;

interface Current {
  readonly child: GuardianProcess;
  readonly ready: Promise<void>;
  readonly replaced: PromiseWithResolvers<void>;
}

/** A guardian needs a few MB for itself; Node would reserve more. */
const nodeFlags = ["--max-old-space-size=16", "--max-semi-space-size=1", "--v8-pool-size=1", "--no-warnings"];
const program = fileURLToPath(new URL(`./guardian-main${extname(import.meta.url)}`, import.meta.url));
const defaultCommand = [process.execPath, ...nodeFlags, program] as const;
/** A guardian that ends as soon as it is started again is given up until the next launch. */
const maxRestartsInARow = 3;

const { LD_LIBRARY_PATH: libraryPath } = process.env;

let shared: Guardian | undefined;

/** The guardian of this process. Its program is started when it is first needed. */
export function hostGuardian(): Guardian {
  shared ??= createGuardian();
  return shared;
}

/**
 * One helper process in a session of its own, so that what ends a terminal's foreground group does not end it. It is told
 * of each group through a pipe whose end tells it that this process is gone: it then sends every group SIGTERM, after one
 * second SIGKILL, removes the directories, and ends. When it dies itself it is started again and told of all groups. It does not keep the event
 * loop of this process alive.
 *
 * Out of its reach: a child that leaves its group; what starts while this process and its guardian are both killed.
 */
export function createGuardian(options: GuardianOptions = { command: defaultCommand }): Guardian {
  const groups = new Set<number>();
  const kept = new Map<number, KeptGroup>();
  const directories = new Set<string>();
  let current: Current | undefined;
  let restarts = 0;
  let watchesExit = false;

  const start = async (): Promise<void> => {
    const [command, ...args] = options.command;
    const child = spawn(command, args, {
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
      cwd: "/", // keeps no file system busy
      env: libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }, // neither NODE_OPTIONS nor secrets
    });
    if (child.pid === undefined) {
      // Where the limit of open files was reached it has no streams either.
      const [error] = await once(child, "error");
      throw cannotStart(error);
    }
    const ready = untilReady(child).then(() => {
      restarts = 0;
      release(child);
    });
    const own: Current = { child, ready, replaced: Promise.withResolvers<void>() };
    current = own;
    child.stdin.on("error", () => {}); // it died: "exit" says so
    child.once("exit", () => onEnd(own));
    child.once("error", () => onEnd(own));
    ready.catch(() => {
      child.kill("SIGKILL");
      onEnd(own);
    });
    const known = [
      ...[...groups].map((pgid) => `+${pgid}\n`),
      ...[...directories].map((path) => `d${path}\n`),
      ...[...kept.values()].map(keepLine),
    ];
    if (known.length > 0) child.stdin.write(known.join(""));
    await ready;
  };

  const onEnd = (ended: Current): void => {
    if (current !== ended) return;
    current = undefined;
    if (groups.size > 0 && restarts < maxRestartsInARow) {
      restarts++;
      start().catch(() => {}); // the next launch reports it
    }
    ended.replaced.resolve();
  };

  // The kernel has the line when write returns, as long as the guardian reads: the pipe is empty, the line short.
  const tell = (line: string): void => {
    current?.child.stdin.write(line);
  };

  return {
    async ready() {
      if (!watchesExit) {
        watchesExit = true;
        process.once("exit", () => {
          // With a guardian the groups get their grace. Without one nobody will be there to look after them.
          if (current === undefined) for (const pgid of groups) signalGroup(pgid, "SIGKILL");
        });
      }
      if (current === undefined) restarts = 0;
      await (current?.ready ?? start());
    },
    expect: (variable) => tell(`?${variable}\n`),
    watch(pgid) {
      groups.add(pgid);
      kept.delete(pgid);
      tell(`+${pgid}\n`);
    },
    forget(pgid) {
      groups.delete(pgid);
      kept.delete(pgid);
      tell(`-${pgid}\n`);
    },
    keep(group) {
      kept.set(group.pgid, group);
      tell(keepLine(group));
    },
    watchDirectory(path) {
      directories.add(path);
      tell(`d${path}\n`);
    },
    forgetDirectory(path) {
      directories.delete(path);
      tell(`x${path}\n`);
    },
    get pid() {
      return current?.child.pid;
    },
    get replaced() {
      return current?.replaced.promise;
    },
  };
}

function keepLine(group: KeptGroup): string {
  return `k${JSON.stringify(group)}\n`;
}

/** Lets this process end while its guardian runs. */
function release(child: GuardianProcess): void {
  child.stdout.destroy();
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
}

/** The guardian says so when it ignores signals and reads. */
async function untilReady(child: GuardianProcess): Promise<void> {
  const ended = new AbortController();
  const onExit = (code: number | null, signal: string | null) =>
    ended.abort(new Error(`the guardian process ended at its start (${signal ?? `code ${code}`})`));
  const onError = (error: Error) => ended.abort(cannotStart(error));
  child.once("exit", onExit);
  child.once("error", onError);
  try {
    await once(child.stdout, "data", { signal: ended.signal });
  } catch (error) {
    throw ended.signal.aborted ? ended.signal.reason : error;
  } finally {
    child.off("exit", onExit);
    child.off("error", onError);
  }
}

function cannotStart(cause: unknown): Error {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new Error(`the guardian process cannot be started${why}`, { cause });
}
