// A client whose calls survive a plugin that hangs, crashes and stays away. Each line is printed after what it says was
// checked; the exit code is 0 only if all of it held.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { AttemptTimeoutError, CircuitOpenError, DeadlineError, isUnprocessed, type RetryEvent } from "@cpg/resilience";
import { startPlugin } from "./plugin-process.ts";
import { createResilientClient } from "./resilient-client.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const done = (what: string, detail: string) => console.log(`  ✓ ${what.padEnd(12)} ${detail}`);
const failure = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail("the call succeeded"),
    (reason: unknown) => ConnectError.from(reason),
  );

const retries: RetryEvent[] = [];
const events = new EventEmitter<{ retry: [RetryEvent] }>();
const onRetry = (event: RetryEvent) => {
  retries.push(event);
  events.emit("retry", event);
};

const directory = await mkdtemp(join(tmpdir(), "cpg-resilient-"));
const file = join(directory, "kv.db");
let plugin = await startPlugin(file, 0);
const { endpoint, port } = plugin;
const { breaker, client } = createResilientClient(endpoint, onRetry);
try {
  console.log("\nA plugin that hangs for a moment:\n");
  const store = await client.dispense("kv");
  await store.put({ key: "greeting", value: bytes("hello") });
  assert.equal(text((await store.get({ key: "greeting" })).value), "hello");
  assert.equal(retries.length, 0);
  done("healthy", "put and get: one attempt each");

  await plugin.signal("SIGSTOP");
  const unsure = await failure(store.put({ key: "greeting", value: bytes("hello again") }));
  assert(unsure.cause instanceof AttemptTimeoutError);
  assert.equal(retries.length, 0);
  done("put", `${unsure.rawMessage}; not tried again, for it may have run`);

  const heard = once(events, "retry");
  const get = store.get({ key: "greeting" });
  const [first] = (await heard) as [RetryEvent];
  await plugin.signal("SIGCONT");
  assert((await get).found);
  assert(first.error.cause instanceof AttemptTimeoutError);
  done("get", `attempt ${first.attempt}: ${first.error.rawMessage}; a later one was answered`);

  console.log("\nA plugin that hangs for longer:\n");
  retries.length = 0;
  await plugin.signal("SIGSTOP");
  const tooLate = await failure(store.get({ key: "greeting" }));
  assert.equal(tooLate.code, Code.DeadlineExceeded);
  assert(tooLate.cause instanceof DeadlineError);
  assert(retries.length > 0);
  done("get", `all attempts together: ${tooLate.rawMessage}`);

  console.log("\nA plugin that is gone:\n");
  await plugin.signal("SIGKILL");
  const opened = await failure(store.get({ key: "greeting" }));
  assert.equal(opened.code, Code.Unavailable);
  assert(opened.cause instanceof CircuitOpenError);
  assert.equal(breaker.state(endpoint), "open");
  done("get", "failures in a row, over several calls, opened the circuit");

  retries.length = 0;
  const before = breaker.snapshot(endpoint).rejected;
  for (let call = 0; call < 20; call++) {
    const rejected = await failure(store.get({ key: "greeting" }));
    assert(rejected.cause instanceof CircuitOpenError && isUnprocessed(rejected));
  }
  assert.equal(breaker.snapshot(endpoint).rejected - before, 20);
  assert.equal(retries.length, 0);
  done("20 gets", "rejected at once by the circuit breaker; waiting for it would outlast their deadline");

  console.log("\nA plugin that comes back:\n");
  const waiting = once(events, "retry");
  const put = store.put({ key: "greeting", value: bytes("hello from after the crash") }, { timeoutMs: 30_000 });
  const [rejection] = (await waiting) as [RetryEvent];
  assert(isUnprocessed(rejection.error));
  plugin = await startPlugin(file, port);
  await put;
  done("put", "with more time: it waited for the circuit, which proves that it had not run, and went through");

  assert.equal(text((await store.get({ key: "greeting" })).value), "hello from after the crash");
  assert.equal(breaker.state(endpoint), "closed");
  done("get", "the second success in a row closed the circuit");
  console.log("\nAll of it was checked. The programs are in examples/resilient-calls/src.\n");
} finally {
  await plugin.signal("SIGKILL");
  await client.close();
  await rm(directory, { recursive: true, force: true });
}
