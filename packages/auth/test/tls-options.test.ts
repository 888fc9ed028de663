import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type ConnectionOptions, connect, createServer } from "node:tls";
import { certificateGate, clientTls, createMtlsAuth, createTlsSource, rotateTls, serverTls } from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import { describe, expect, it } from "vitest";
import { servers } from "./support/who-servers.ts";
import { askWho, knownAs, noConnection } from "./support/who-service.ts";

const authority = await createCertificateAuthority();
const next = await createCertificateAuthority({ commonName: "next-ca" });
const below = await authority.issueAuthority("below-ca");
const [own, ann, annNext, annBelow] = await Promise.all([
  authority.issue({ commonName: "server" }),
  authority.issue({ commonName: "ann" }),
  next.issue({ commonName: "ann" }),
  below.issue({ commonName: "ann" }),
]);
const material = { ...own, ca: authority.ca };

describe("serverTls", () => {
  it("asks for certificates, and lets nobody in without a verified one", () => {
    expect(serverTls(material)).toEqual({
      ...material,
      minVersion: "TLSv1.2",
      requestCert: true,
      rejectUnauthorized: true,
    });
  });

  it.each([
    ["a gate without open routes", { gate: certificateGate() }, true],
    ["a gate with open routes", { gate: certificateGate({ openRoutes: ["/healthz"] }) }, false],
    ["no certificates asked for", { requestCert: false }, true],
  ])("with %s", (_, settings, rejectUnauthorized) => {
    expect(serverTls(material, settings).rejectUnauthorized).toBe(rejectUnauthorized);
  });

  it("takes version and protocols", () => {
    const tls = serverTls(material, { minVersion: "TLSv1.3", alpn: ["h2", "http/1.1"] });
    expect(tls).toMatchObject({ minVersion: "TLSv1.3", ALPNProtocols: ["h2", "http/1.1"] });
  });

  it.each([
    ["cert is missing", () => serverTls({ key: own.key, ca: authority.ca })],
    ["key is missing", () => serverTls({ cert: own.cert, ca: authority.ca })],
    ["ca is missing", () => serverTls(own)],
    ["ca is missing", () => serverTls({ ...own, ca: [] })],
    ["gate needs requestCert", () => serverTls(material, { requestCert: false, gate: certificateGate() })],
    [
      'minVersion must be "TLSv1.2" or "TLSv1.3", got "TLSv1"',
      () => serverTls(material, { minVersion: "TLSv1" as "TLSv1.2" }),
    ],
  ])("refuses to begin: %s", (message, begin) => {
    expect(begin).toThrow(new RegExp(message));
    expect(begin).toThrow(TypeError);
  });
});

describe("clientTls", () => {
  it("gives options that verify the server", () => {
    expect(clientTls({ ca: authority.ca })).toEqual({
      ca: authority.ca,
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
    });
    expect(clientTls({ ...ann }, { servername: "a.test", minVersion: "TLSv1.3", alpn: ["h2"] })).toEqual({
      ...ann,
      servername: "a.test",
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
      rejectUnauthorized: true,
    });
  });

  it("gives what is valid when it is read", async () => {
    let shown = ann;
    await using source = await createTlsSource({ load: () => ({ ...shown, ca: authority.ca }), refreshMs: 0 });
    const tls = clientTls(source);
    const copy = { ...tls };
    shown = annNext;
    await source.reload();
    expect([tls.cert, tls.key, tls.crl]).toEqual([annNext.cert, annNext.key, undefined]);
    expect(copy.cert).toBe(ann.cert);
  });

  it.each([
    ["cert and key have to be given together", () => clientTls({ cert: ann.cert })],
    ["cert and key have to be given together", () => clientTls({ key: ann.key })],
    ["minVersion must be", () => clientTls({}, { minVersion: "SSLv3" as "TLSv1.2" })],
  ])("refuses to begin: %s", (message, begin) => {
    expect(begin).toThrow(message);
  });
});

describe.each(servers)("TLS options of %s", (_, httpVersion, start) => {
  it("rotate on both sides, certificate and authorities", async () => {
    let world = { own, ann, ca: authority.ca };
    const load = (side: "own" | "ann") => () => ({ ...world[side], ca: world.ca });
    await using ofServer = await createTlsSource({ load: load("own"), refreshMs: 0 });
    await using ofClient = await createTlsSource({ load: load("ann"), refreshMs: 0 });
    const auth = createMtlsAuth({ identity: "subject" });
    await using running = await start({ tls: serverTls(ofServer), auth });
    const tls = clientTls(ofClient);
    expect(await askWho(running.open(tls, httpVersion))).toEqual(knownAs("CN=ann"));
    world = { own: await next.issue({ commonName: "server" }), ann: annNext, ca: next.ca };
    await ofServer.reload();
    // With settings of its own, so that Node's agent does not take a connection that it kept.
    const stale = clientTls({ ...ann, ca: authority.ca }, { minVersion: "TLSv1.3" });
    expect(await askWho(running.open(stale, httpVersion))).toEqual(noConnection);
    await ofClient.reload();
    expect(await askWho(running.open(tls, httpVersion))).toEqual(knownAs("CN=ann"));
  });

  it("take several revocation lists in one PEM", async () => {
    const crl = (await authority.revoke([])) + (await below.revoke([]));
    const auth = createMtlsAuth({ identity: "subject" });
    await using running = await start({ tls: serverTls({ ...material, crl }), auth });
    const client = running.open(clientTls({ ...annBelow, ca: authority.ca }), httpVersion);
    expect(await askWho(client)).toEqual(knownAs("CN=ann"));
  });
});

describe("a plain TLS server", () => {
  /** The common name of the certificate that a server shows, and the protocol that was agreed on. */
  async function look(port: number, options: ConnectionOptions) {
    const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ...options });
    try {
      await once(socket, "secureConnect");
      return [socket.getPeerX509Certificate()?.subject, socket.alpnProtocol];
    } finally {
      socket.destroy();
    }
  }

  it("agrees on a protocol and a version, rotates, and stops to do so", async () => {
    let shown = own;
    await using source = await createTlsSource({ load: () => ({ ...shown, ca: authority.ca }), refreshMs: 0 });
    const tls = serverTls(source, { alpn: ["h2", "http/1.1"] });
    const server = createServer(tls, (socket) => socket.on("error", () => {}).resume());
    const stop = rotateTls(server, tls);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const client = clientTls({ ...ann, ca: authority.ca }, { alpn: ["http/1.1"] });
    expect(await look(port, client)).toEqual(["CN=server", "http/1.1"]);
    shown = await authority.issue({ commonName: "second" });
    await source.reload();
    expect(await look(port, client)).toEqual(["CN=second", "http/1.1"]);
    const old = { ...client, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    await expect(look(port, old)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_SSL/) });
    stop();
    shown = await authority.issue({ commonName: "third" });
    await source.reload();
    expect(await look(port, client)).toEqual(["CN=second", "http/1.1"]);
    server.close();
    expect(new X509Certificate(shown.cert).subject).toBe("CN=third");
  });

  it("keeps what it has when new material does not fit it, and the source says so", async () => {
    let ca = authority.ca;
    await using source = await createTlsSource({ load: () => ({ ...own, ca }), refreshMs: 0 });
    const server = createServer();
    const tls = serverTls(source);
    rotateTls(server, { ...tls, minVersion: "nonsense" as "TLSv1.2" });
    ca += next.ca;
    expect(await source.reload()).toMatchObject({ kind: "refused" });
  });
});
