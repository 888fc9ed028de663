// A host launches the KV plugin as a child process, uses it, kills it and launches it again. Each line is printed after
// what it says was checked; the exit code is 0 only if all of it held.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, ConnectError } from "@connectrpc/connect";
import { launchPlugin, nodeStrategy } from "@cpg/core";
import { EventType } from "./gen/kv/v1/kv_pb.ts";
import { kv } from "./plugin.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const done = (what: string, detail: string) => console.log(`  ✓ ${what.padEnd(10)} ${detail}`);

const directory = await mkdtemp(join(tmpdir(), "cpg-demo-"));
const strategy = nodeStrategy({
  entry: fileURLToPath(new URL("./server.ts", import.meta.url)),
  nodeArgs: ["--disable-warning=ExperimentalWarning"],
  env: { KV_FILE: join(directory, "kv.db") },
});
const launch = () => launchPlugin({ strategy, plugins: { kv } });

console.log("\nA key-value store that is a plugin: a process of its own, called like an object.\n");
try {
  const first = await launch();
  const { pid, endpoint } = first;
  assert(pid !== undefined && pid !== process.pid);
  const { httpVersion, plugins } = await first.connect();
  done("launched", `process ${pid} on ${endpoint.startsWith("unix:") ? "a Unix socket" : endpoint}`);
  done("handshake", `plugin kv ${plugins.get("kv")?.version}, calls travel over HTTP/${httpVersion}`);

  const store = await first.dispense("kv");
  await store.put({ key: "greeting", value: bytes("hello from before the crash") });
  const { value } = await store.get({ key: "greeting" });
  assert.equal(text(value), "hello from before the crash");
  done("put, get", `greeting is "${text(value)}"`);

  const seen: string[] = [];
  for await (const event of store.watch({ prefix: "color." })) {
    if (event.type === EventType.UNSPECIFIED) {
      await store.put({ key: "color.sky", value: bytes("blue") });
      await store.put({ key: "shape.sun", value: bytes("round") });
      await store.put({ key: "color.sky", value: bytes("red") });
      await store.delete({ key: "color.sky" });
    } else {
      seen.push(event.type === EventType.PUT ? `${event.key}=${text(event.value)}` : `${event.key} gone`);
      if (event.type === EventType.DELETE) break;
    }
  }
  assert.deepEqual(seen, ["color.sky=blue", "color.sky=red", "color.sky gone"]);
  done("watch", seen.join(", "));

  process.kill(pid, "SIGKILL");
  const exit = await first.exited;
  assert.equal(exit.signal, "SIGKILL");
  const failure = ConnectError.from(await store.get({ key: "greeting" }).catch((reason: unknown) => reason));
  assert.equal(failure.code, Code.Unavailable);
  done("killed", `process ${pid} with SIGKILL; this host lives on, its call got "${Code[failure.code].toLowerCase()}"`);
  await first.stop();

  const second = await launch();
  assert(second.pid !== undefined && second.pid !== pid);
  const restored = await (await second.dispense("kv")).get({ key: "greeting" });
  assert.equal(text(restored.value), "hello from before the crash");
  done("relaunched", `process ${second.pid}; greeting is still "${text(restored.value)}"`);

  const report = await second.stop({ reason: "the demo is over" });
  assert.equal(report.how, "asked");
  assert.equal(report.code, 0);
  assert.throws(() => process.kill(second.pid ?? 0, 0), { code: "ESRCH" });
  if (second.endpoint.startsWith("unix:")) assert(!existsSync(second.endpoint.slice("unix:".length)));
  done("stopped", "asked to, it finished its calls and ended with exit code 0; no process, no socket left");
  console.log("\nAll of it was checked. The programs are in examples/kv/src.\n");
} finally {
  await rm(directory, { recursive: true, force: true });
}
