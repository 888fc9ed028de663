// Talks to a running KV server: node client.ts [endpoint], default http://localhost:8080 or the port in PORT.
import { createPluginClient } from "@cpg/core";
import { kvPlugin } from "./gen/kv/v1/kv_cpg.ts";
import { EventType } from "./gen/kv/v1/kv_pb.ts";

const endpoint = process.argv[2] ?? `http://localhost:${process.env.PORT ?? 8080}`;
const client = createPluginClient({ endpoint, plugins: { kv: kvPlugin } });
const store = await client.dispense("kv");

const text = (value: Uint8Array) => new TextDecoder().decode(value);
const before = await store.get({ key: "greeting" });
console.log(before.found ? `greeting was "${text(before.value)}"` : "there was no greeting");

const changes = store.watch({ prefix: "greeting" });
for await (const { type, key, value } of changes) {
  if (type === EventType.UNSPECIFIED) {
    await store.put({ key: "greeting", value: new TextEncoder().encode(`hello at ${new Date().toISOString()}`) });
  } else {
    console.log(`the watch saw ${key} become "${text(value)}"`);
    break;
  }
}

const after = await store.get({ key: "greeting" });
console.log(`greeting is "${text(after.value)}"`);
await client.close();
