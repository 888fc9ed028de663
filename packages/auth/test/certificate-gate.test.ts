import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import {
  type AuthEvent,
  behindCertificateGate,
  type CertificateGate,
  certificateGate,
  clientTls,
  createMtlsAuth,
  serverTls,
} from "@cpg/auth";
import { createCertificateAuthority, type IssuedCertificate } from "@cpg/auth/testing";
import type { Peer } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { plainRequest } from "./support/plain-request.ts";
import { type HttpVersion, servers, startCoreServer } from "./support/who-servers.ts";
import { askWho, knownAs, noConnection, refusedBoth } from "./support/who-service.ts";

const authority = await createCertificateAuthority();
const stranger = await createCertificateAuthority({ commonName: "other-ca" });
const [own, ann] = await Promise.all([
  authority.issue({ commonName: "server" }),
  authority.issue({ commonName: "ann" }),
]);
const foreign = await stranger.issue({ commonName: "ann" });
const material = { ...own, ca: authority.ca };
const client = (shown?: IssuedCertificate) => clientTls({ ...shown, ca: authority.ca });
const auth = createMtlsAuth({ identity: "subject" });

describe.each(servers)("certificateGate before %s", (_, httpVersion, start) => {
  it("refuses calls without a verified certificate on routes that are not open", async () => {
    const events: AuthEvent[] = [];
    const gate = certificateGate({ openRoutes: ["/healthz"], onEvent: (event) => events.push(event) });
    await using running = await start({ tls: serverTls(material, { gate }), auth, gate });
    expect(await askWho(running.open(client(ann), httpVersion))).toEqual(knownAs("CN=ann"));
    expect(events).toEqual([]);
    // A stream that plain HTTP answers knows its status only.
    const refused = [refusedBoth[0], expect.stringMatching(/^Unauthenticated: (the call carries no valid|HTTP 401)/)];
    expect(await askWho(running.open(client(), httpVersion))).toEqual(refused);
    expect(await askWho(running.open(client(foreign), httpVersion))).toEqual(refused);
    const path = "/cpg.test.v1.WhoService/Unary";
    expect(events[0]).toEqual({ kind: "absent", path, address: "127.0.0.1" });
    expect(events[2]).toEqual({
      kind: "refused",
      provider: "certificate-gate",
      reason: expect.stringMatching(/^the certificate was not verified: UNABLE_TO_/),
      path,
      address: "127.0.0.1",
    });
  });

  it("without open routes leaves it to TLS to let nobody in", async () => {
    const gate = certificateGate();
    await using running = await start({ tls: serverTls(material, { gate }), auth, gate });
    expect(await askWho(running.open(client(), httpVersion))).toEqual(noConnection);
    expect(await askWho(running.open(client(ann), httpVersion))).toEqual(knownAs("CN=ann"));
  });
});

async function startPlain(gate: CertificateGate, httpVersion: HttpVersion) {
  const seen: (string | undefined)[] = [];
  const handler = behindCertificateGate(gate, (request, response) => {
    seen.push(request.url);
    response.end("in");
  });
  const tls = serverTls(material, { gate });
  const server = httpVersion === "2" ? createSecureServer(tls, handler) : createServer(tls, handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    seen,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))),
  };
}

describe.each(["1.1", "2"] as const)("certificateGate, request by request over HTTP/%s", (httpVersion) => {
  const gate = certificateGate({ openRoutes: ["/healthz", "/public/*"] });
  const refusal = '{"code":"unauthenticated","message":"the call carries no valid credential"}';

  it.each([
    ["/healthz", undefined, 200],
    ["/public/a?b", undefined, 200],
    ["/admin", undefined, 401],
    ["/public/../admin", undefined, 401],
    ["/public/%2e%2e/admin", undefined, 401],
    ["/healthz", foreign, 401],
    ["/admin", foreign, 401],
    ["/healthz", ann, 200],
    ["/admin", ann, 200],
    ["/public/../admin", ann, 200],
  ])("%s, with %o: %i", async (path, shown, status) => {
    await using server = await startPlain(gate, httpVersion);
    const options = { ...shown, ca: authority.ca, port: server.port, path, httpVersion };
    const answer = await plainRequest(options);
    expect([answer.status, answer.body]).toEqual(status === 200 ? [200, "in"] : [401, refusal]);
    expect(server.seen).toEqual(status === 200 ? [path] : []);
  });

  it("stands before health and plain routes of @cpg/core, too", async () => {
    await using running = await startCoreServer({ tls: serverTls(material, { gate }), auth, gate });
    const port = Number(new URL(running.url).port);
    const get = async (path: string, shown?: IssuedCertificate) =>
      (await plainRequest({ ...shown, ca: authority.ca, port, path, httpVersion })).status;
    expect([await get("/healthz"), await get("/readyz"), await get("/readyz", ann)]).toEqual([200, 401, 200]);
  });
});

describe("certificateGate", () => {
  const request = { url: "/admin" } as Parameters<CertificateGate>[0];

  it.each<[string, Peer | undefined]>([
    ["whom the server does not tell of", undefined],
    ["without TLS", { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined }],
    ["on a Unix socket", { network: "unix", address: undefined, port: undefined, tls: undefined }],
  ])("refuses a peer %s", (_, peer) => {
    const gate = certificateGate({ openRoutes: ["/healthz"], peer: () => peer });
    expect(gate(request)?.rawMessage).toBe("the call carries no valid credential");
    expect(gate({ ...request, url: "/healthz" } as typeof request)).toBeUndefined();
  });

  it("refuses a malformed route, and keeps the routes that it got", () => {
    expect(() => certificateGate({ openRoutes: ["healthz"] })).toThrow(/openRoutes must be .*"healthz"/);
    const openRoutes = ["/healthz"];
    const gate = certificateGate({ openRoutes });
    openRoutes.push("/admin");
    expect(gate.openRoutes).toEqual(["/healthz"]);
  });
});
