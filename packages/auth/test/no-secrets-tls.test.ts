import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificateGate, clientTls, createMtlsAuth, createTlsSource, serverTls, watchTlsFiles } from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secretWatches } from "./support/secret-watch.ts";
import { startCoreServer } from "./support/who-servers.ts";
import { askWho } from "./support/who-service.ts";

const watch = secretWatches();

describe("certificates and TLS", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "auth-no-secrets-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** What is secret of a PEM: not its first and last line, and not the algorithm, which the body begins with. */
  const bodyOf = (pem: string) => pem.split("\n").slice(1, -2).join("").slice(44);
  const encrypted = (passphrase: string) =>
    generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase },
    }).privateKey;

  it("tell no key and no passphrase: of files that are right, wrong or missing", async () => {
    const watched = watch();
    const authority = await createCertificateAuthority();
    const [first, other] = [await authority.issue({ commonName: "a" }), await authority.issue({ commonName: "b" })];
    const passphrase = watched.secret();
    const locked = encrypted(passphrase);
    for (const key of [first.key, other.key, locked]) watched.secret(bodyOf(key));
    const cert = join(folder, "cert.pem");
    const key = join(folder, "key.pem");
    await Promise.all([writeFile(cert, first.cert), writeFile(key, first.key)]);
    await using source = await watchTlsFiles({ cert, key, passphrase, refreshMs: 0, onReload: watched.hear });
    const garbage = `-----BEGIN PRIVATE KEY-----\n${watched.secret().repeat(4)}\n-----END PRIVATE KEY-----\n`;
    for (const content of [other.key, locked, garbage, watched.secret(), "", first.key]) {
      await writeFile(key, content);
      await watched.try(() => source.reload());
    }
    await rm(key);
    await watched.try(() => source.reload());
    for (const content of [other.key, garbage]) {
      await watched.try(() => createTlsSource({ load: () => ({ cert: first.cert, key: content, passphrase }) }));
      await watched.try(() =>
        createTlsSource({ load: () => ({ cert: first.cert, key: locked, passphrase: content }) }),
      );
    }
    await watched.try(() => serverTls({ key: first.key }));
    await watched.try(() => serverTls({ cert: first.cert, key: first.key, passphrase }));
    await watched.try(() => clientTls({ key: first.key, passphrase }));
    await watched.try(() => createMtlsAuth({ identity: "dns", tls: { crl: first.key } }));
    expect(watched.heard.filter((thing) => thing instanceof Error).length).toBeGreaterThan(5);
    expect(watched.leaks()).toEqual([]);
  });

  it("tell no key in calls that are let in, refused by the gate, or refused by TLS", async () => {
    const watched = watch();
    const [authority, stranger] = [await createCertificateAuthority(), await createCertificateAuthority()];
    const names = [{ type: "dns", value: "web.test" }] as const;
    const [server, leaf, foreign] = [
      await authority.issue({ commonName: "server" }),
      await authority.issue({ commonName: "leaf", names }),
      await stranger.issue({ commonName: "foreign", names }),
    ];
    for (const { key } of [server, leaf, foreign]) watched.secret(bodyOf(key));
    const material = { ...server, ca: authority.ca };
    const auth = createMtlsAuth({ identity: "dns", onEvent: watched.hear });
    const gate = certificateGate({ openRoutes: ["/healthz"], onEvent: watched.hear });
    watched.hear(auth);
    for (const tls of [serverTls(material), serverTls(material, { gate })]) {
      await using running = await startCoreServer({ tls, auth, gate });
      for (const shown of [leaf, foreign, undefined]) {
        const client = running.open(clientTls({ ...shown, ca: authority.ca }), "2");
        watched.hear(await askWho(client));
        await watched.try(() => client.unary({}));
      }
      watched.hear(running.handshakeErrors);
    }
    expect(watched.heard.length).toBeGreaterThan(10);
    expect(watched.leaks()).toEqual([]);
  });
});
