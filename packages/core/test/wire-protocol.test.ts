import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { admitWhen, openAdmission } from "../src/identity/admission.ts";
import { allowPeers } from "../src/identity/allow-peers.ts";
import { createIdentityRegistry } from "../src/identity/identity-registry.ts";
import { connectRaw } from "./support/raw-client.ts";
import { greeting, handshakePath, post, releasePath, renewPath, startWireServer } from "./wire-protocol-server.ts";

/** "é": one character, two bytes. */
const twoBytes = "\u00e9";

function credentials(runtimeId: unknown, token: unknown): Record<string, string> {
  return { "x-plugin-runtime-id": String(runtimeId), authorization: `Bearer ${token}` };
}

describe("handshake on the wire", () => {
  it("answers the old form with the old form", async () => {
    await using server = await startWireServer({ serverMetadata: () => ({ a: "b" }) });
    const { status, body } = await post(server.port, handshakePath, { ...greeting, requestedPlugins: ["logger"] });
    expect(status).toBe(200);
    expect(body).toEqual({
      coreProtocolVersion: 1,
      appProtocolVersion: 1,
      plugins: [{ name: "logger", version: "1.0.0", servicePath: "/capability.logger.v1.Logger/" }],
      serverMetadata: { a: "b" },
    });
  });

  it("answers several versions with the highest common one, and all of its own", async () => {
    await using server = await startWireServer({ appProtocolVersions: [1, 2, 3] });
    const { body } = await post(server.port, handshakePath, {
      ...greeting,
      appProtocolVersion: 4,
      appProtocolVersions: [4, 2, 1],
    });
    expect(body).toMatchObject({ appProtocolVersion: 2, appProtocolVersions: [3, 2, 1] });
  });

  it("leaves out a plugin it lacks, and names none twice", async () => {
    await using server = await startWireServer();
    const requestedPlugins = ["nothing", "logger", "no name", "", "logger", "toString", "constructor"];
    const { status, body } = await post(server.port, handshakePath, { ...greeting, requestedPlugins });
    expect(status).toBe(200);
    expect(body?.plugins).toMatchObject([{ name: "logger" }]);
  });

  it("issues no identity without self_id, and one with it", async () => {
    await using server = await startWireServer();
    const without = await post(server.port, handshakePath, greeting);
    expect(without.body).not.toHaveProperty("runtimeId");
    expect(server.identities.size).toBe(0);
    const { body } = await post(server.port, handshakePath, { ...greeting, selfId: "My-Plugin" });
    expect(body).toMatchObject({
      runtimeId: expect.stringMatching(/^my-plugin-[0-9a-f]{24}$/),
      runtimeTokenTtl: "60s",
    });
    expect(server.identities.size).toBe(1);
  });

  it.each<{ name: string; change: Record<string, unknown>; status: number; code: string; says: string }>([
    {
      name: "no cookie",
      change: { magicCookieKey: "" },
      status: 400,
      code: "invalid_argument",
      says: "magic_cookie_key",
    },
    {
      name: "wrong cookie key",
      change: { magicCookieKey: "X" },
      status: 400,
      code: "invalid_argument",
      says: "magic_cookie_key",
    },
    {
      name: "wrong cookie value",
      change: { magicCookieValue: "X" },
      status: 400,
      code: "invalid_argument",
      says: "magic_cookie_value",
    },
    {
      name: "core version 2",
      change: { coreProtocolVersion: 2 },
      status: 400,
      code: "invalid_argument",
      says: "core_protocol_version",
    },
    {
      name: "core version absent",
      change: { coreProtocolVersion: 0 },
      status: 400,
      code: "invalid_argument",
      says: "core_protocol_version",
    },
    {
      name: "app version 9",
      change: { appProtocolVersion: 9 },
      status: 400,
      code: "failed_precondition",
      says: "version 1; the client asks for 9",
    },
    {
      name: "app version absent",
      change: { appProtocolVersion: 0 },
      status: 400,
      code: "failed_precondition",
      says: "asks for 0",
    },
    {
      name: "app versions 8, 9",
      change: { appProtocolVersions: [8, 9] },
      status: 400,
      code: "failed_precondition",
      says: "asks for 8, 9",
    },
    {
      name: "101 app versions",
      change: { appProtocolVersions: Array(101).fill(1) },
      status: 400,
      code: "invalid_argument",
      says: "app_protocol_versions",
    },
    { name: "self_id with ..", change: { selfId: "a..b" }, status: 400, code: "invalid_argument", says: "self_id" },
    {
      name: "self_id with a digit first",
      change: { selfId: "1a" },
      status: 400,
      code: "invalid_argument",
      says: "self_id",
    },
    { name: "self_id with a slash", change: { selfId: "a/b" }, status: 400, code: "invalid_argument", says: "self_id" },
    { name: "self_id with NUL", change: { selfId: "a\0" }, status: 400, code: "invalid_argument", says: "self_id" },
    {
      name: "self_version with NUL",
      change: { selfVersion: "a\0" },
      status: 400,
      code: "invalid_argument",
      says: "self_version",
    },
    {
      name: "metadata key with a space",
      change: { clientMetadata: { "a b": "" } },
      status: 400,
      code: "invalid_argument",
      says: "client_metadata",
    },
    {
      name: "plugin name with NUL",
      change: { requestedPlugins: ["a\0"] },
      status: 400,
      code: "invalid_argument",
      says: "requested_plugins[0]",
    },
    {
      name: "provides without a version",
      change: { declaresServices: true, provides: [{ type: "a", path: "/a/" }] },
      status: 400,
      code: "invalid_argument",
      says: "provides[0].version",
    },
    {
      name: "requires with a range",
      change: { declaresServices: true, requires: [{ type: "a", minVersion: "^1.0.0" }] },
      status: 400,
      code: "invalid_argument",
      says: "requires[0].min_version",
    },
  ])("refuses $name", async ({ change, status, code, says }) => {
    await using server = await startWireServer();
    const answer = await post(server.port, handshakePath, { selfId: "a", ...greeting, ...change });
    expect(answer).toMatchObject({ status, body: { code, message: expect.stringContaining(says) } });
    expect(server.identities.size).toBe(0);
  });

  it.each<{ name: string; ok: Record<string, unknown>; bad: Record<string, unknown>; says: string }>([
    {
      name: "128 bytes of self_id",
      ok: { selfId: "a".repeat(128) },
      bad: { selfId: "a".repeat(129) },
      says: "self_id",
    },
    {
      name: "64 bytes of self_version, in bytes",
      ok: { selfVersion: twoBytes.repeat(32) },
      bad: { selfVersion: `${twoBytes.repeat(32)}a` },
      says: "self_version",
    },
    {
      name: "100 metadata entries",
      ok: { clientMetadata: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, ""])) },
      bad: { clientMetadata: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, ""])) },
      says: "client_metadata",
    },
    {
      name: "256 bytes of a metadata key",
      ok: { clientMetadata: { ["k".repeat(256)]: "" } },
      bad: { clientMetadata: { ["k".repeat(257)]: "" } },
      says: "client_metadata key",
    },
    {
      name: "4096 bytes of a metadata value, in bytes",
      ok: { clientMetadata: { k: twoBytes.repeat(2048) } },
      bad: { clientMetadata: { k: `${twoBytes.repeat(2048)}a` } },
      says: "client_metadata[k]",
    },
    {
      name: "1000 requested plugins",
      ok: { requestedPlugins: Array(1000).fill("p") },
      bad: { requestedPlugins: Array(1001).fill("p") },
      says: "requested_plugins",
    },
    {
      name: "100 declarations",
      ok: { declaresServices: true, requires: Array(100).fill({ type: "a" }) },
      bad: { declaresServices: true, requires: Array(101).fill({ type: "a" }) },
      says: "requires",
    },
    {
      name: "declarations only where they are announced",
      ok: { declaresServices: false, requires: Array(101).fill({ type: "a" }) },
      bad: { declaresServices: true, provides: Array(101).fill({ type: "a", version: "1.0.0", path: "/" }) },
      says: "provides",
    },
  ])("takes $name and not one more", async ({ ok, bad, says }) => {
    await using server = await startWireServer();
    expect((await post(server.port, handshakePath, { ...greeting, ...ok })).status).toBe(200);
    const { status, body } = await post(server.port, handshakePath, { ...greeting, ...bad });
    expect([status, body?.code]).toEqual([400, "invalid_argument"]);
    expect(body?.message).toContain(says);
  });

  it("tells its versions to a client that knows several, and only to that", async () => {
    await using server = await startWireServer({ appProtocolVersions: [3, 4] });
    const old = await post(server.port, handshakePath, greeting);
    const several = await post(server.port, handshakePath, { ...greeting, appProtocolVersions: [1, 2] });
    expect(old.body).not.toHaveProperty("details");
    expect(several.body?.details).toMatchObject([{ type: "connectplugin.v1.HandshakeResponse" }]);
  });
});

describe("admission on the wire", () => {
  const named = { ...greeting, selfId: "a" };

  it.each<{ headers: Record<string, string> }>([
    { headers: { "x-forwarded-for": "127.0.0.1" } },
    { headers: { "x-forwarded-proto": "http" } },
    { headers: { forwarded: "for=127.0.0.1" } },
    { headers: { via: "1.1 proxy" } },
    { headers: { "x-real-ip": "127.0.0.1" } },
    { headers: { origin: "http://evil.example" } },
    { headers: { host: "evil.example" } },
    { headers: { host: "localhost.evil.example:80" } },
  ])("takes a request with $headers for no loopback peer", async ({ headers }) => {
    await using server = await startWireServer();
    const { status, body } = await post(server.port, handshakePath, named, headers);
    expect([status, body?.code]).toEqual([403, "permission_denied"]);
    expect(body?.message).toContain("loopbackPeers");
    expect(server.identities.size).toBe(0);
    // Whoever wants no identity needs no admission.
    expect((await post(server.port, handshakePath, greeting, headers)).status).toBe(200);
  });

  it.each([
    { hosts: ["localhost"], status: 200 },
    { hosts: ["localhost", "evil.example"], status: 403 },
    { hosts: ["evil.example", "localhost"], status: 403 },
  ])("looks at every Host of HTTP/1.1: $hosts -> $status", async ({ hosts, status }) => {
    await using server = await startWireServer();
    using client = await connectRaw({ kind: "tcp", host: "127.0.0.1", port: server.port, secure: false });
    const body = JSON.stringify(named);
    const lines = [...hosts.map((host) => `host: ${host}`), "content-type: application/json", "connection: close"];
    lines.push(`content-length: ${body.length}`);
    client.write(`POST ${handshakePath} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
    expect(await client.closed).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it.each([
    { authority: "localhost:80", status: 200 },
    { authority: "evil.example", status: 403 },
  ])("looks at the :authority of HTTP/2: $authority -> $status", async ({ authority, status }) => {
    await using server = await startWireServer();
    const session = connect(`http://127.0.0.1:${server.port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": handshakePath,
      ":authority": authority,
      "content-type": "application/json",
    });
    stream.end(JSON.stringify(named));
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(status);
    session.destroy();
  });

  it("admits peers on a Unix socket", async () => {
    const directory = await mkdtemp(join(tmpdir(), "cpg-"));
    const socketPath = join(directory, "host.sock");
    await using server = await startWireServer({}, { socketPath });
    expect((await post(socketPath, handshakePath, named)).status).toBe(200);
    expect((await post(socketPath, handshakePath, named, { via: "1.1 proxy" })).status).toBe(403);
    expect(server.identities.size).toBe(1);
    await rm(directory, { recursive: true });
  });

  it.each([
    { name: "openAdmission", admission: openAdmission(), status: 200 },
    { name: "an address on the list", admission: allowPeers(["127.0.0.0/8"]), status: 200 },
    { name: "an address off the list", admission: allowPeers(["10.0.0.0/8"]), status: 403 },
    {
      name: "a policy that fails",
      admission: admitWhen("x", () => {
        throw new Error("secret");
      }),
      status: 403,
    },
  ])("lets $name decide -> $status", async ({ admission, status }) => {
    await using server = await startWireServer({ admission });
    const answer = await post(server.port, handshakePath, named, { via: "1.1 proxy" });
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).not.toContain("secret");
  });
});

describe("rate of handshakes on the wire", () => {
  it("answers 429 with a retry delay, and admits again after it", async () => {
    await using server = await startWireServer({ rate: { burstPerName: 3, perSecondPerName: 0.25 } });
    const statuses: number[] = [];
    for (let count = 0; count < 4; count++) {
      statuses.push((await post(server.port, handshakePath, { ...greeting, selfId: "looping" })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
    const refusal = await post(server.port, handshakePath, { ...greeting, selfId: "looping" });
    expect(refusal).toMatchObject({ headers: { "retry-after": "4" }, body: { code: "resource_exhausted" } });
    expect(server.identities.size).toBe(3);
    expect((await post(server.port, handshakePath, { ...greeting, selfId: "other" })).status).toBe(200);
    await server.clock.advance(4_000);
    expect((await post(server.port, handshakePath, { ...greeting, selfId: "looping" })).status).toBe(200);
  });

  it("counts failures, without keeping out those who do it right", async () => {
    await using server = await startWireServer({ rate: { burstPerName: 2, perSecondPerName: 1 } });
    const statuses: number[] = [];
    for (let count = 0; count < 4; count++) {
      statuses.push(
        (await post(server.port, handshakePath, { ...greeting, magicCookieValue: "?", selfId: "a" })).status,
      );
    }
    expect(statuses).toEqual([400, 400, 429, 429]);
    expect((await post(server.port, handshakePath, { ...greeting, selfId: "a" })).status).toBe(200);
  });
});

describe("runtime identity on the wire", () => {
  it("is required: missing, unknown, wrong, somebody else's and expired ones all get the same answer", async () => {
    await using server = await startWireServer();
    const shake = async (selfId: string) =>
      (await post(server.port, handshakePath, { ...greeting, selfId })).body ?? {};
    const [mine, other] = [await shake("mine"), await shake("other")];
    const refused = [
      {},
      { "x-plugin-runtime-id": String(mine.runtimeId) },
      { authorization: `Bearer ${mine.runtimeToken}` },
      credentials("nobody-000000000000000000000000", mine.runtimeToken),
      credentials(mine.runtimeId, "wrong"),
      credentials(mine.runtimeId, other.runtimeToken),
      { ...credentials(mine.runtimeId, mine.runtimeToken), authorization: `Basic ${mine.runtimeToken}` },
      credentials(String(mine.runtimeId).toUpperCase(), mine.runtimeToken),
      credentials(mine.runtimeId, "x".repeat(8_000)),
    ];
    const answers = [];
    for (const headers of refused) answers.push(await post(server.port, renewPath, {}, headers));
    const valid = credentials(mine.runtimeId, mine.runtimeToken);
    expect(await post(server.port, renewPath, {}, valid)).toMatchObject({ status: 200, body: { ttl: "60s" } });
    await server.clock.advance(60_000);
    answers.push(await post(server.port, renewPath, {}, valid));
    expect(answers.map(({ status, body }) => [status, body?.code])).toEqual(
      answers.map(() => [401, "unauthenticated"]),
    );
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });

  it("lasts as long as it is renewed, and ends when it is released", async () => {
    await using server = await startWireServer();
    const { body } = await post(server.port, handshakePath, { ...greeting, selfId: "a" });
    const headers = credentials(body?.runtimeId, body?.runtimeToken);
    for (let count = 0; count < 3; count++) {
      await server.clock.advance(59_999);
      expect((await post(server.port, renewPath, {}, headers)).status).toBe(200);
    }
    expect((await post(server.port, releasePath, {}, headers)).status).toBe(200);
    expect((await post(server.port, renewPath, {}, headers)).status).toBe(401);
    expect(server.identities.size).toBe(0);
  });

  it("answers 429 when all identities are in use", async () => {
    const identities = createIdentityRegistry({ maxIdentities: 1 });
    await using server = await startWireServer({ identities });
    const first = await post(server.port, handshakePath, { ...greeting, selfId: "a" });
    identities.verify(String(first.body?.runtimeId), String(first.body?.runtimeToken));
    const second = await post(server.port, handshakePath, { ...greeting, selfId: "b" });
    expect(second).toMatchObject({ status: 429, body: { code: "resource_exhausted" } });
    expect(Number(second.headers["retry-after"])).toBeGreaterThan(0);
    identities.close();
  });
});
