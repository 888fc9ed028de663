import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  greeting,
  handshakePath,
  post,
  releasePath,
  renewPath,
  startWireServer,
  type WireAnswer,
} from "./wire-protocol-server.ts";

/** Strings that break things: empty, long, multi-byte, lone surrogates, control characters, names of prototypes. */
const text = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom(
    "",
    "..",
    "a..b",
    "__proto__",
    "constructor",
    "\0",
    "\ud800",
    "a".repeat(129),
    "é".repeat(65),
    "a/b",
    "%2e%2e",
  ),
  fc.string({ unit: fc.constantFrom("a", "-", ".", "_", "9", "é"), maxLength: 140 }),
);
const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, 1, -1, 2 ** 31, 2 ** 53));
const anything = fc.oneof(text, number, fc.jsonValue());
const declaration = fc.record(
  {
    type: text,
    version: fc.oneof(text, fc.constant("1.0.0")),
    path: fc.oneof(text, fc.constant("/a/")),
    minVersion: text,
  },
  { requiredKeys: [] },
);

/** A handshake of which any field may be what it should not be. */
const handshake = fc
  .record(
    {
      coreProtocolVersion: number,
      appProtocolVersion: number,
      magicCookieKey: text,
      magicCookieValue: text,
      requestedPlugins: fc.array(text, { maxLength: 20 }),
      clientMetadata: fc.dictionary(text, text, { maxKeys: 20 }),
      selfId: text,
      selfVersion: text,
      appProtocolVersions: fc.array(number, { maxLength: 5 }),
      provides: fc.array(declaration, { maxLength: 5 }),
      requires: fc.array(declaration, { maxLength: 5 }),
      declaresServices: fc.boolean(),
      unknownField: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  .chain((fields) =>
    fc
      .subarray(Object.keys(fields))
      .map((keys) => Object.fromEntries(Object.entries(fields).filter(([key]) => keys.includes(key)))),
  );
const wrongTypes = fc.dictionary(
  fc.constantFrom(
    "selfId",
    "selfVersion",
    "requestedPlugins",
    "clientMetadata",
    "appProtocolVersions",
    "provides",
    "declaresServices",
  ),
  anything,
);
const rawBody = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 300 }), fc.json());

/** What Node lets a client put into a header. */
const headerValue = fc.oneof(
  fc.string({ maxLength: 300 }).map((value) => value.replace(/[^\x20-\x7e]/g, "")),
  fc.constantFrom("Bearer", "Bearer ", "Bearer x", "bearer  x", "Basic x", ",", "Bearer x, Bearer y", "\u00ff"),
);
const contentType = fc.constantFrom(
  "application/json",
  "application/proto",
  "application/grpc",
  "application/grpc-web+json",
  "application/connect+json",
  "text/plain",
  "",
);
const headers = fc.record(
  {
    "content-type": contentType,
    "content-encoding": fc.constantFrom("identity", "gzip", "nonsense"),
    "connect-timeout-ms": fc.constantFrom("1000", "-1", "x", "99999999999999"),
    "connect-protocol-version": fc.constantFrom("1", "2"),
    "x-forwarded-for": headerValue,
    host: fc.constantFrom("localhost", "evil.example", "[::1]"),
  },
  { requiredKeys: [] },
);

/**
 * No crash, and no status that says the server is at fault, but two of Connect's own: "unimplemented", and "internal" for
 * binary messages that are malformed, which it answers before any code of ours runs.
 */
function expectHandled({ status, body }: WireAnswer): void {
  const handled =
    status < 500 ||
    (status === 501 && body?.code === "unimplemented") ||
    (status === 500 && body?.message?.startsWith("parse binary: "));
  expect(handled, `status ${status} ${JSON.stringify(body)}`).toBe(true);
}

describe("whatever arrives on the wire", () => {
  it("is handled: handshakes", async () => {
    await using server = await startWireServer();
    const body = fc.oneof(
      { weight: 6, arbitrary: handshake.map((fields) => ({ ...greeting, ...fields })) },
      { weight: 3, arbitrary: handshake.map((fields) => ({ ...fields, ...greeting })) },
      { weight: 2, arbitrary: wrongTypes.map((fields) => ({ ...greeting, ...fields })) },
      { weight: 1, arbitrary: rawBody },
    );
    const sent = fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: headers });
    await fc.assert(
      fc.asyncProperty(body, sent, async (message, extra) => {
        const before = server.identities.size;
        const answer = await post(server.port, handshakePath, message, extra);
        expectHandled(answer);
        const issued = answer.status === 200 && answer.body?.runtimeId !== undefined ? 1 : 0;
        expect(server.identities.size).toBe(before + issued);
      }),
      { numRuns: 1_000, examples: [[new Uint8Array([0]), { "content-encoding": "gzip" }]] },
    );
    expect((await post(server.port, handshakePath, greeting)).status).toBe(200);
  }, 60_000);

  it("is handled: credentials", async () => {
    await using server = await startWireServer();
    const { body } = await post(server.port, handshakePath, { ...greeting, selfId: "victim" });
    const id = fc.oneof(headerValue, fc.constant(String(body?.runtimeId)));
    const credentials = fc.record({ "x-plugin-runtime-id": id, authorization: headerValue }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(renewPath, releasePath), credentials, headers, async (path, proof, extra) => {
        const answer = await post(server.port, path, {}, { ...extra, ...proof });
        expectHandled(answer);
        expect(answer.status === 200 && answer.headers["content-type"] === "application/json").toBe(false);
        expect(server.identities.size).toBe(1);
      }),
      { numRuns: 1_000 },
    );
    const proof = { "x-plugin-runtime-id": String(body?.runtimeId), authorization: `Bearer ${body?.runtimeToken}` };
    expect((await post(server.port, renewPath, {}, proof)).status).toBe(200);
  }, 60_000);
});
