import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import {
  type AuthEvent,
  type AuthProvider,
  authenticated,
  clientTls,
  createMtlsAuth,
  createTlsSource,
  getAuth,
  rotateTls,
  type ServerTls,
  serverTls,
} from "@cpg/auth";
import { createCertificateAuthority } from "@cpg/auth/testing";
import { systemClock } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { plainRequest } from "./support/plain-request.ts";
import { type HttpVersion, servers } from "./support/who-servers.ts";
import { askWho, knownAs, noConnection, refusedBoth } from "./support/who-service.ts";

const authority = await createCertificateAuthority();
const [own, ann, bob] = await Promise.all(
  ["server", "ann", "bob"].map((commonName) => authority.issue({ commonName })),
);
if (own === undefined || ann === undefined || bob === undefined) throw new Error("no certificates");
const none = await authority.revoke([]);
const annRevoked = await authority.revoke([ann]);

describe.each(servers)("a revocation list that comes while clients of %s are connected", (_, httpVersion, start) => {
  it("ends the calls of who is on it, and of nobody else", async () => {
    let crl = none;
    await using source = await createTlsSource({ load: () => ({ ...own, ca: authority.ca, crl }), refreshMs: 0 });
    const events: AuthEvent[] = [];
    const tls = serverTls(source);
    const auth = createMtlsAuth({ identity: "subject", tls, onEvent: (event) => events.push(event) });
    await using running = await start({ tls, auth });
    const [asAnn, asBob] = [ann, bob].map((shown) =>
      running.open(clientTls({ ...shown, ca: authority.ca }), httpVersion),
    ) as [ReturnType<typeof running.open>, ReturnType<typeof running.open>];
    expect([await askWho(asAnn), await askWho(asBob)]).toEqual([knownAs("CN=ann"), knownAs("CN=bob")]);
    crl = annRevoked;
    expect(await source.reload()).toEqual({ kind: "applied" });
    expect([await askWho(asAnn), await askWho(asBob)]).toEqual([refusedBoth, knownAs("CN=bob")]);
    expect(events.filter(({ kind }) => kind === "refused")).toMatchObject([
      { reason: "the certificate is revoked" },
      { reason: "the certificate is revoked" },
    ]);
    const again = running.open(clientTls({ ...ann, ca: authority.ca }), httpVersion);
    expect(await askWho(again)).toEqual(noConnection);
  });
});

/** A plain server that tells who calls. */
async function startPlain(
  tls: ServerTls,
  auth: AuthProvider,
  maxVersion: "TLSv1.2" | "TLSv1.3",
  httpVersion: HttpVersion,
  onEvent?: (event: AuthEvent) => void,
) {
  const handler = authenticated(
    auth,
    (request, response) => void response.end(getAuth(request)?.identity ?? "nobody"),
    {
      onEvent,
    },
  );
  const options = { ...tls, maxVersion };
  const server = httpVersion === "2" ? createSecureServer(options, handler) : createServer(options, handler);
  rotateTls(server, tls);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))),
  };
}

describe.each([
  ["TLSv1.2", "1.1"],
  ["TLSv1.2", "2"],
  ["TLSv1.3", "1.1"],
  ["TLSv1.3", "2"],
] as const)("a %s session that is resumed over HTTP/%s", (version, httpVersion) => {
  const client = { ...ann, ca: authority.ca, httpVersion };

  it("shows the certificate that began it", async () => {
    const tls = serverTls({ ...own, ca: authority.ca });
    await using server = await startPlain(tls, createMtlsAuth({ identity: "subject" }), version, httpVersion);
    const first = await plainRequest({ ...client, port: server.port });
    expect(first).toMatchObject({ status: 200, body: "CN=ann", reused: false });
    // Whoever resumes it shows no certificate again, so another one changes nothing.
    const second = await plainRequest({ ...client, ...bob, port: server.port, session: first.session });
    expect(second).toMatchObject({ status: 200, body: "CN=ann", reused: true });
  });

  it("ends with the dates of that certificate", async () => {
    let nowMs = systemClock.now();
    const clock = { ...systemClock, now: () => nowMs };
    const tls = serverTls({ ...own, ca: authority.ca });
    await using server = await startPlain(tls, createMtlsAuth({ identity: "subject", clock }), version, httpVersion);
    const { session } = await plainRequest({ ...client, port: server.port });
    nowMs += 366 * 24 * 60 * 60 * 1000;
    expect(await plainRequest({ ...client, port: server.port, session })).toMatchObject({ status: 401, reused: true });
  });

  it("is refused once that certificate is revoked", async () => {
    let crl = none;
    await using source = await createTlsSource({ load: () => ({ ...own, ca: authority.ca, crl }), refreshMs: 0 });
    const tls = serverTls(source);
    await using server = await startPlain(tls, createMtlsAuth({ identity: "subject", tls }), version, httpVersion);
    const { session } = await plainRequest({ ...client, port: server.port });
    crl = annRevoked;
    await source.reload();
    await expect(plainRequest({ ...client, port: server.port, session })).rejects.toThrow();
    // And where TLS does not look, the provider does.
    const open = serverTls({ ...own, ca: authority.ca });
    let revoked = false;
    const auth = createMtlsAuth({ identity: "subject", revoked: () => revoked });
    await using second = await startPlain(open, auth, version, httpVersion);
    const begun = await plainRequest({ ...client, port: second.port });
    revoked = true;
    const resumed = await plainRequest({ ...client, port: second.port, session: begun.session });
    expect(resumed).toMatchObject({ status: 401, reused: true });
  });

  it("is nobody's if it began without a certificate", async () => {
    const events: AuthEvent[] = [];
    const tls = { ...serverTls({ ...own, ca: authority.ca }), rejectUnauthorized: false };
    const auth = createMtlsAuth({ identity: "subject" });
    const onEvent = (event: AuthEvent) => void events.push(event);
    await using server = await startPlain(tls, auth, version, httpVersion, onEvent);
    const nobody = { ca: authority.ca, httpVersion, port: server.port };
    const { session, ...first } = await plainRequest(nobody);
    const resumed = await plainRequest({ ...nobody, ...ann, session });
    expect([first.status, resumed.status, resumed.reused]).toEqual([401, 401, true]);
    expect(events).toMatchObject([{ kind: "absent" }, { kind: "absent" }]);
  });
});
