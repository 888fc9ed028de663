// The command: runs tables and reports. Exit code 1 when a variant fails or answers wrongly, 2 for bad arguments; a goal
// that is missed is told, and no failure.
import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { seededRandom } from "@cpg/resilience/testing";
import { authTable } from "./auth/auth-table.ts";
import { type BenchOptions, parseBenchOptions, usage } from "./bench-options.ts";
import { brokerTable } from "./broker/broker-table.ts";
import { hedgingTable } from "./hedging/hedging-table.ts";
import { idleTable } from "./idle/idle-table.ts";
import { interceptorsTable } from "./interceptors/interceptors-table.ts";
import { launchTable } from "./launch/launch-table.ts";
import { memoryTable } from "./launch/memory-table.ts";
import { platformTable } from "./platform/platform-table.ts";
import { registryTable } from "./registry/registry-table.ts";
import { type Report, reportAsMarkdown } from "./report.ts";
import { routingTable } from "./routing/routing-table.ts";
import { type RunOptions, runTable } from "./run-table.ts";
import { surroundings } from "./surroundings.ts";
import type { Table } from "./table.ts";
import type { TableResult } from "./table-result.ts";
import { writeResults } from "./write-results.ts";

const tables = new Map<string, Table>(
  [
    memoryTable,
    launchTable,
    interceptorsTable,
    authTable,
    hedgingTable,
    registryTable,
    brokerTable,
    idleTable,
    routingTable,
    platformTable,
  ].map((table) => [table.name, table]),
);

/**
 * A batch takes long enough that a slice of the scheduler and a minor collection matter little; and the clock of the CPU
 * may tick only every 4 ms.
 */
const full = { batchMs: { wall: 50, cpu: 100 }, warmUpMs: 400, stepLimitMs: 60_000 };
const short = { batchMs: { wall: 1, cpu: 1 }, warmUpMs: 0, stepLimitMs: 30_000 };

/** Of this thread alone, as if it had a CPU for itself. Before Node 22.19 of the process, its helper threads included. */
function cpuMs(): number {
  const { user, system } = (process.threadCpuUsage ?? process.cpuUsage).call(process);
  return (user + system) / 1_000;
}

async function run(options: BenchOptions): Promise<Report> {
  const { seed, rounds } = options;
  const found = surroundings();
  const collectGarbage = globalThis.gc;
  const runOptions: RunOptions = {
    ...(options.short ? short : full),
    rounds,
    size: options.short ? "short" : "full",
    random: seededRandom(seed),
    clocks: { wall: () => performance.now(), cpu: cpuMs },
    collectGarbage: () => void collectGarbage?.(),
    onProgress: (line) => console.error(line),
  };
  const results: TableResult[] = [];
  for (const name of options.tables) {
    const table = tables.get(name);
    if (table !== undefined) results.push(await runTable(table, runOptions));
  }
  const garbageCollected = collectGarbage !== undefined;
  return { surroundings: found, seed, rounds, short: options.short, garbageCollected, tables: results };
}

function parse(): BenchOptions {
  try {
    return parseBenchOptions(process.argv.slice(2), [...tables.keys()], () => randomInt(2 ** 32));
  } catch (reason) {
    console.error(`${reason instanceof Error ? reason.message : reason}\nusage: ${usage}`);
    process.exit(2);
  }
}

const options = parse();
console.error(`seed ${options.seed}`);
try {
  const report = await run(options);
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  if (options.json !== undefined) writeFileSync(options.json, json);
  if (options.write) writeResults(report, json);
  const markdown = reportAsMarkdown(report);
  if (options.markdown === undefined) process.stdout.write(markdown);
  else writeFileSync(options.markdown, markdown);
} catch (reason) {
  console.error(reason);
  process.exit(1); // what hangs must not hold this process up
}
