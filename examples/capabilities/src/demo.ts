// The host: lends its log, secrets and a store to two plugins that run as programs of their own. Each line is printed after
// what it says was checked; the exit code is 0 only if all of it held.
import assert from "node:assert/strict";
import { type AuditEvent, createBroker, hostLogger } from "@cpg/broker";
import { serve } from "@cpg/core";
import { startPlugin } from "./running-plugin.ts";
import { lentSecrets } from "./secrets.ts";
import { lentStore } from "./store.ts";

const done = (what: string, detail: string) => console.log(`  ✓ ${what.padEnd(11)} ${detail}`);

const lines: { readonly fields: object; readonly message: string }[] = [];
const write = (fields: object, message: string) => void lines.push({ fields, message });
const audit: AuditEvent[] = [];
const broker = createBroker({
  capabilities: [
    hostLogger({ debug: write, info: write, warn: write, error: write }),
    lentSecrets({ greeter: { greeting: "good morning" } }),
    lentStore(),
  ],
  onAudit: (event) => audit.push(event),
});
const host = await serve({ plugins: {}, impls: {}, extensions: [broker], listen: { port: 0 }, environment: {} });

console.log("\nA host lends its log, secrets and a store to two plugins.\n");
const greeter = startPlugin("greeter", host.endpoint);
const stranger = startPlugin("stranger", host.endpoint);
try {
  assert.equal(await greeter.says("secret:"), "secret: good morning");
  assert.match(await stranger.says("secret:"), /\[not_found\]/);
  done("secrets", "greeter read its own; stranger has none");

  await greeter.says("stored:"); // it logs before that
  const entry = lines.find(({ fields }) => "plugin" in fields && String(fields.plugin).startsWith("greeter-"));
  assert.equal(entry?.message, "the secret was read\\nor not");
  done("log", "what greeter wrote is in the host's log, on one line, with its id");

  assert.equal(await greeter.says("stored:"), "stored: by greeter");
  assert.equal(await stranger.says("stored:"), "stored: by stranger");
  await Promise.all([greeter.says("changed: mood is good"), stranger.says("changed: mood is good")]);
  done("store", "each plugin has its own, under the same keys, and watches it");

  const grant = broker.grants().find(({ type, holder }) => type === "store" && holder.startsWith("greeter-"));
  assert.ok(grant);
  broker.revoke(grant.accessor, "to show it");
  assert.match(await greeter.says("watch ended:"), /\[permission_denied\]/);
  done("revoked", "the open watch ended with permission_denied");
  assert.equal(await greeter.says("asked again:"), "asked again: good");
  done("asked again", "another grant, and what was stored is still there");

  await Promise.all([greeter.end(), stranger.end()]);
  assert.deepEqual(broker.grants(), []);
  done("ended", "the plugins left: no grant is left");

  const types = new Set<string>(audit.map(({ type }) => type));
  for (const type of ["requested", "granted", "used", "revoked"]) assert.ok(types.has(type), type);
  assert.doesNotMatch(JSON.stringify(audit), /token/i);
  done("audit", "requests, grants, uses and the revocation were told, no token among them");
  console.log("\nAll of it was checked. The programs are in examples/capabilities/src.\n");
} finally {
  greeter.kill();
  stranger.kill();
  await host.close();
}
