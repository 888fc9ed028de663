// The host: calls a plugin elsewhere over mutual TLS, through retry and a circuit breaker, while certificates change and the
// plugin is killed. Each line is printed after what it says was checked; the exit code is 0 only if all of it held.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { type ClientTls, clientTls } from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import { createPluginClient } from "@cpg/core";
import { createCircuitBreaker, retry } from "@cpg/resilience";
import { whoami } from "./plugin.ts";
import { freePort, startPlugin } from "./running-plugin.ts";
import { openTlsFiles, tlsPaths } from "./tls-files.ts";

const done = (what: string, detail: string) => console.log(`  ✓ ${what.padEnd(11)} ${detail}`);
const folder = await mkdtemp(join(tmpdir(), "cpg-secure-calls-"));
const authority = await createCertificateAuthority();
const names = { shop: "shop.example", thief: "thief.example", plugin: "localhost" };

async function issue(side: keyof typeof names, number: number): Promise<void> {
  const { cert, key } = await authority.issue({
    commonName: `${side} ${number}`,
    names: [{ type: "dns", value: names[side] }],
    usage: side === "plugin" ? "server" : "client",
  });
  const paths = tlsPaths(folder, side);
  await Promise.all([writeFile(paths.cert, cert), writeFile(paths.key, key)]);
}

await writeFile(join(folder, "ca.pem"), authority.ca);
await Promise.all([issue("shop", 1), issue("thief", 1), issue("plugin", 1)]);
const port = await freePort();
let plugin = await startPlugin(port, folder);
const newCertificate = Promise.withResolvers<void>();
const shopFiles = await openTlsFiles(folder, "shop", () => newCertificate.resolve());
const thiefFiles = await openTlsFiles(folder, "thief");

/** Retry outside, so that each attempt counts for the circuit, and an open circuit is waited for. */
let retries = 0;
const breaker = createCircuitBreaker({ failureThreshold: 3, openMs: 500, successThreshold: 1 });
const interceptors = [
  retry({ maxAttempts: 50, backoff: { initialMs: 50, maxMs: 1_000 }, onRetry: () => void retries++ }),
  breaker.interceptor,
];
const open = (tls: ClientTls) =>
  createPluginClient({ endpoint: `https://localhost:${port}`, plugins: { whoami }, tls, interceptors });

console.log("\nA host calls a plugin elsewhere: mutual TLS, retry, circuit breaker.\n");
const client = open(clientTls(shopFiles));
const thief = open(clientTls(thiefFiles));
try {
  const calls = await client.dispense("whoami");
  const first = await calls.whoAmI({});
  assert.equal(first.identity, "shop.example");
  done("let in", `the plugin knows ${first.identity} by its certificate, "${first.commonName}"`);

  const stolen = await thief.dispense("whoami");
  await assert.rejects(stolen.whoAmI({}), { code: Code.PermissionDenied });
  assert.equal(retries, 0);
  done("refused", "thief.example, with a good certificate: permission_denied, and no retry");

  const nobody = createPluginClient({
    endpoint: `https://localhost:${port}`,
    plugins: { whoami },
    tls: clientTls({ ca: authority.ca }),
  });
  await assert.rejects(nobody.dispense("whoami"), { code: Code.Unavailable });
  await nobody.close();
  done("refused", "somebody without a certificate: TLS lets nobody in");

  // Calls run until both sides have taken new certificates, and then some.
  const seen = new Map<string, number>();
  const call = async () => {
    const { commonName } = await calls.whoAmI({});
    seen.set(commonName, (seen.get(commonName) ?? 0) + 1);
  };
  let rotated = false;
  const taken = Promise.all([plugin.says("new certificate"), newCertificate.promise]).then(() => {
    rotated = true;
  });
  await Promise.all([issue("shop", 2), issue("plugin", 2)]);
  while (!rotated) await Promise.all(Array.from({ length: 10 }, call));
  await taken;
  for (let more = 0; more < 100; more++) await call();
  assert.deepEqual([...seen.keys()], ["shop 1", "shop 2"]);
  assert.equal(retries, 0);
  done(
    "rotated",
    `${[...seen.values()].reduce((sum, count) => sum + count)} calls meanwhile, none failed or was retried`,
  );

  const changes: string[] = [];
  const opened = Promise.withResolvers<void>();
  breaker.onStateChange(({ to }) => {
    changes.push(to);
    if (to === "open") opened.resolve();
  });
  await plugin.end("SIGKILL");
  const waiting = calls.whoAmI({});
  await opened.promise;
  plugin = await startPlugin(port, folder);
  assert.equal((await waiting).identity, "shop.example");
  assert.deepEqual(changes.slice(-2), ["half-open", "closed"]);
  done("survived", `the plugin was killed: the circuit opened, it came back, a call had waited (${retries} retries)`);
  await plugin.end("SIGTERM");
  console.log("\nAll of it was checked. The programs are in examples/secure-calls/src.\n");
} finally {
  await plugin.end("SIGKILL");
  await Promise.all([client.close(), thief.close(), shopFiles.close(), thiefFiles.close()]);
  await rm(folder, { recursive: true, force: true });
}
