// The URL shortener under load, while its plugins are replaced, restarted and killed at random. Nothing may fail that has no
// excuse, and the host may hold no more at the end than after the warm-up. Needs --expose-gc. Exit code 1 when something
// was wrong, 130 after Ctrl-C.
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import { type Disturbances, disturb } from "./disturbances.ts";
import { type Holdings, measureHoldings } from "./holdings.ts";
import { type ShortenerPlatform, startShortenerPlatform } from "./shortener-platform.ts";
import { parseSoakOptions, SOAK_USAGE } from "./soak-options.ts";

const MiB = 1024 * 1024;
/** Caches and compiled code go on growing a little after the warm-up. */
const maxHeapGrowth = 4 * MiB;
/** Long enough that each kind of disturbance has happened to each plugin, as a rule. */
const warmUpPart = 0.3;
const reportEveryMs = 60_000;
const callTimeoutMs = 20_000;
const logWithinMs = 30_000;
/** As a client would, so that callers do not run in circles while a plugin is away. */
const retryAfterMs = 20;

interface Tally {
  calls: number;
  /** `unavailable` while a plugin was away, which a client may answer by trying again; answers cut by a kill. */
  excused: number;
  /** By message. */
  readonly wrong: Map<string, number>;
}

async function load(scene: ShortenerPlatform, disturbances: Disturbances, tally: Tally, signal: AbortSignal) {
  const { shortener } = scene;
  const attempt = async <T>(what: string, call: () => Promise<T>): Promise<T | undefined> => {
    const beganMs = systemClock.monotonic();
    tally.calls++;
    try {
      return await call();
    } catch (reason) {
      const { code, message } = ConnectError.from(reason);
      // An answer that was cut has no code of its own in HTTP/2 but "internal error".
      const excused =
        (code === Code.Unavailable && disturbances.awaySince(beganMs)) ||
        (code === Code.Internal && disturbances.killedSince(beganMs));
      if (excused) {
        tally.excused++;
        await systemClock.sleep(retryAfterMs);
      } else wrong(tally, `${what}: ${message}`);
      return undefined;
    }
  };
  for (let count = 0; !signal.aborted; count++) {
    const url = `https://example.org/${count}`;
    const short = await attempt("shorten", () => shortener.shorten({ url }, { timeoutMs: callTimeoutMs }));
    if (short === undefined) continue;
    const long = await attempt("resolve", () => shortener.resolve({ code: short.code }, { timeoutMs: callTimeoutMs }));
    if (long !== undefined && long.url !== url) wrong(tally, `${short.code} stands for ${long.url}, not for ${url}`);
  }
}

function wrong({ wrong: found }: Tally, what: string): void {
  found.set(what, (found.get(what) ?? 0) + 1);
}

/**
 * Plugins that have done nothing yet, and two calls, which have been logged: so connections are the same each time.
 * @throws {Error} when they are not logged within 30 s.
 */
async function rest({ platform, plugin, shortener }: ShortenerPlatform, lines: EventEmitter): Promise<void> {
  for (const name of ["logger", "storage", "api"] as const) await platform.replace(name, plugin(name));
  const heard: string[] = [];
  let code = "";
  const all = Promise.withResolvers<void>();
  const isLogged = (what: string): boolean => heard.some((line) => line.includes(what) && line.endsWith(code));
  const look = (): void => {
    if (code !== "" && ["saved", "shortened", "resolved"].every(isLogged)) all.resolve();
  };
  const hear = (line: string): void => {
    heard.push(line);
    look();
  };
  const inTime = new AbortController();
  systemClock.sleep(logWithinMs, inTime.signal).then(
    () => all.reject(new Error(`calls were not logged within ${logWithinMs} ms`)),
    () => {}, // they were
  );
  lines.on("line", hear);
  try {
    ({ code } = await shortener.shorten({ url: "https://example.org/rest" }));
    await shortener.resolve({ code });
    look();
    await all.promise;
  } finally {
    inTime.abort("they were logged");
    lines.off("line", hear);
  }
}

/** One stretch of load and disturbances; everything has come to rest when it resolves. */
async function stretch(scene: ShortenerPlatform, { ms, callers, random, tally, signal }: Stretch) {
  const over = new AbortController();
  systemClock.sleep(ms, signal).then(
    () => over.abort("its time is over"),
    () => over.abort("it is interrupted"),
  );
  const disturbances = disturb({ scene, clock: systemClock, random, signal: over.signal });
  const calm = new AbortController();
  const loads = Array.from({ length: callers }, () => load(scene, disturbances, tally, calm.signal));
  try {
    await disturbances.done; // the last one under load, too
  } finally {
    calm.abort("it is over");
    await Promise.all(loads);
  }
  return disturbances.counts;
}

interface Stretch {
  readonly ms: number;
  readonly callers: number;
  readonly random: () => number;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** Mulberry32, of Tommy Ettinger: small, and the same everywhere. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function row(
  label: string,
  { calls, excused, wrong: found }: Tally,
  { heapBytes, resources, descriptors, children }: Holdings,
) {
  const failed = [...found.values()].reduce((sum, count) => sum + count, 0);
  const cells = [calls, excused, failed, (heapBytes / MiB).toFixed(2), resources, descriptors, children];
  console.log([label.padEnd(10), ...cells.map((cell) => String(cell).padStart(11))].join(""));
}

function grown(before: Holdings, after: Holdings): string[] {
  const problems: string[] = [];
  const heap = after.heapBytes - before.heapBytes;
  if (heap > maxHeapGrowth) problems.push(`the heap grew by ${(heap / MiB).toFixed(2)} MiB, at most 4 are allowed`);
  for (const what of ["resources", "descriptors", "children"] as const) {
    if (after[what] > before[what]) problems.push(`${what} grew from ${before[what]} to ${after[what]}`);
  }
  return problems;
}

async function soak(args: readonly string[], signal: AbortSignal): Promise<string[]> {
  const { durationMs, callers, seed } = parseSoakOptions(args);
  const data = mkdtempSync(join(tmpdir(), "cpg-soak-"));
  const random = seededRandom(seed);
  const tally: Tally = { calls: 0, excused: 0, wrong: new Map() };
  const counts = { replace: 0, restart: 0, kill: 0 };
  console.log(`${durationMs / 1_000} s, ${callers} callers, seed ${seed}`);
  const lines = new EventEmitter();
  const scene = await startShortenerPlatform({
    database: join(data, "urls.db"),
    restartMs: 20,
    onLog: ({ plugin, line }) => void (plugin === "logger" && lines.emit("line", line)),
  });
  let problems: string[] = [];
  try {
    const run = async (ms: number): Promise<Holdings> => {
      const done = await stretch(scene, { ms, callers, random, tally, signal });
      for (const kind of ["replace", "restart", "kill"] as const) counts[kind] += done[kind];
      await rest(scene, lines);
      return await measureHoldings(systemClock);
    };
    console.log(`${"".padEnd(10)}      calls    excused      wrong  heap (MiB)  resources descriptors  children`);
    const warmUpMs = Math.min(durationMs * warmUpPart, reportEveryMs);
    const before = await run(warmUpMs);
    row("warm", tally, before);
    let after = before;
    for (let leftMs = durationMs - warmUpMs, at = 1; leftMs > 0 && !signal.aborted; leftMs -= reportEveryMs, at++) {
      after = await run(Math.min(leftMs, reportEveryMs));
      row(`part ${at}`, tally, after);
    }
    problems = [...[...tally.wrong].map(([what, count]) => `${count} times ${what}`), ...grown(before, after)];
  } finally {
    await scene.close();
    rmSync(data, { recursive: true, force: true });
  }
  console.log(`${counts.replace} replaced, ${counts.restart} restarted, ${counts.kill} killed`);
  const { children } = await measureHoldings(systemClock);
  if (children > 1) problems.push(`${children} processes are left, beside the guardian none should be`);
  return problems;
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort(new Error(signal)));
try {
  const problems = await soak(process.argv.slice(2), interrupted.signal);
  for (const problem of problems) console.error(problem);
  console.log(problems.length === 0 ? "nothing was wrong" : "something was wrong");
  process.exitCode = problems.length > 0 ? 1 : interrupted.signal.aborted ? 130 : 0;
} catch (reason) {
  console.error(
    reason instanceof TypeError || reason instanceof RangeError ? `${reason.message}\n${SOAK_USAGE}` : reason,
  );
  process.exitCode = 1;
}
