// A host uses the KV plugin in its own memory, in a worker thread and in a process, kills the process, and uses the one
// that comes back. Each line is printed after what it says was checked; the exit code is 0 only if all of it held.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { Client } from "@connectrpc/connect";
import {
  type LaunchStrategy,
  launchPlugin,
  memoryStrategy,
  nodeStrategy,
  supervisePlugin,
  workerStrategy,
} from "@cpg/core";
import { kvPlugin } from "./gen/kv/v1/kv_cpg.ts";
import { EventType, type KVService } from "./gen/kv/v1/kv_pb.ts";
import { createKvService } from "./kv-service.ts";
import { openKvTable } from "./kv-table.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const done = (what: string, detail: string) => console.log(`  ✓ ${what.padEnd(10)} ${detail}`);

const directory = await mkdtemp(join(tmpdir(), "cpg-demo-"));
const file = join(directory, "kv.db");
const program = {
  entry: new URL("./server.ts", import.meta.url),
  nodeArgs: ["--disable-warning=ExperimentalWarning"],
  env: { KV_FILE: file },
};

/** The implementation as an object of this process. */
function inMemory(): LaunchStrategy {
  const table = openKvTable(file);
  const impl = createKvService(table);
  return memoryStrategy({
    plugins: { kv: kvPlugin },
    impls: { kv: impl },
    onStart({ draining, closed }) {
      draining.addEventListener("abort", () => impl.close());
      void closed.then(() => table.close());
    },
  });
}

/** The same calls, wherever the plugin runs. */
async function useStore(store: Client<typeof KVService>): Promise<void> {
  await store.put({ key: "greeting", value: bytes("hello") });
  assert.equal(text((await store.get({ key: "greeting" })).value), "hello");
  const seen: string[] = [];
  for await (const event of store.watch({ prefix: "color." })) {
    if (event.type === EventType.UNSPECIFIED) {
      await store.put({ key: "color.sky", value: bytes("blue") });
      await store.put({ key: "shape.sun", value: bytes("round") });
      await store.delete({ key: "color.sky" });
    } else {
      seen.push(event.type === EventType.PUT ? `${event.key}=${text(event.value)}` : `${event.key} gone`);
      if (event.type === EventType.DELETE) break;
    }
  }
  assert.deepEqual(seen, ["color.sky=blue", "color.sky gone"]);
}

/** Median time of one get, in µs, one after the other. */
async function timeOfGet(store: Client<typeof KVService>): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < 1_500; call++) {
    const startedMs = performance.now();
    await store.get({ key: "greeting" });
    if (call >= 500) times.push((performance.now() - startedMs) * 1000);
  }
  return times.sort((a, b) => a - b)[times.length / 2] ?? Number.NaN;
}

console.log("\nA key-value store that is a plugin. The same calls, wherever it runs:\n");
try {
  const places: readonly (readonly [string, LaunchStrategy])[] = [
    ["memory", inMemory()],
    ["worker", workerStrategy(program)],
    ["process", nodeStrategy(program)],
  ];
  for (const [place, strategy] of places) {
    const plugin = await launchPlugin({ strategy, plugins: { kv: kvPlugin } });
    const { httpVersion } = await plugin.connect();
    const store = await plugin.dispense("kv");
    await useStore(store);
    const micros = await timeOfGet(store);
    const report = await plugin.stop();
    assert.equal(report.how, "asked");
    const over = httpVersion === undefined ? "no socket" : `HTTP/${httpVersion} over ${plugin.endpoint.split(":")[0]}`;
    done(place, `put, get, delete, watch; a get takes ${micros.toFixed(0).padStart(4)} µs, ${over}`);
  }

  console.log("\nA process that is killed, under supervision:\n");
  const plugin = supervisePlugin({
    strategy: nodeStrategy(program),
    plugins: { kv: kvPlugin },
    onCallsWhileDown: "wait",
    restart: { backoff: { initialMs: 50 } },
  });
  await plugin.whenRunning();
  const { pid, endpoint } = plugin.snapshot();
  assert(pid !== undefined && pid !== process.pid);
  const store = await plugin.dispense("kv");
  await store.put({ key: "greeting", value: bytes("hello from before the crash") });
  done("launched", `process ${pid}`);

  const down = Promise.withResolvers<string | undefined>();
  plugin.onStateChange(({ state, exit }) => state !== "running" && down.resolve(exit?.signal ?? undefined));
  process.kill(pid, "SIGKILL");
  assert.equal(await down.promise, "SIGKILL");
  done("killed", `process ${pid} with SIGKILL; this host lives on`);

  const { value } = await store.get({ key: "greeting" });
  const restarted = plugin.snapshot();
  assert.equal(text(value), "hello from before the crash");
  assert(restarted.pid !== undefined && restarted.pid !== pid);
  done(
    "came back",
    `process ${restarted.pid}, by itself; a call that waited got "${text(value)}" from the same client`,
  );

  await plugin.stop();
  assert.throws(() => process.kill(restarted.pid ?? 0, 0), { code: "ESRCH" });
  for (const gone of [endpoint, restarted.endpoint]) assert(!gone?.startsWith("unix:") || !existsSync(gone.slice(5)));
  done("stopped", "asked to, it finished its calls and ended; no process, no socket left");
  console.log("\nAll of it was checked. The programs are in examples/kv/src.\n");
} finally {
  await rm(directory, { recursive: true, force: true });
}
