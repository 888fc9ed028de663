import { X509Certificate } from "node:crypto";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { peerKey } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import type { TlsMaterial, TlsUpdates } from "../src/internal/tls-updates.ts";
import { type CallTransport, openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createCertificates } from "./support/certificates.ts";
import { EchoService } from "./support/echo-service.ts";
import { serveEcho } from "./support/started-server.ts";

/** Two worlds that do not know each other. */
const [first, second] = await Promise.all([createCertificates("ca-1"), createCertificates("ca-2")]);
const serverOf = ({ server, ca }: typeof first): TlsMaterial & { cert: string; key: string } => ({ ...server, ca });
const clientOf = ({ client, ca }: typeof first): TlsMaterial => ({ ...client, ca });
const fingerprintOf = (cert: string) => new X509Certificate(cert).fingerprint256;

/** Updates that a test sends by hand. */
function updatesByHand() {
  const listeners = new Set<(material: TlsMaterial) => void>();
  const updates: TlsUpdates = (apply) => {
    listeners.add(apply);
    return () => void listeners.delete(apply);
  };
  const send = (material: TlsMaterial) => {
    for (const apply of listeners) apply(material);
  };
  return { updates, send, listeners };
}

type Server = Awaited<ReturnType<typeof serveEcho>>;

function open(server: Server, httpVersion: "1.1" | "2", tls: TlsMaterial & { updates?: TlsUpdates }): CallTransport {
  return openCallTransport({ endpoint: parseEndpoint(server.endpoint), httpVersion, tls });
}

/** A server that answers with the fingerprint of its caller's certificate. */
async function start(updates?: TlsUpdates, limits?: { maxRequestsPerConnection: number }) {
  return await serveEcho({
    listen: { port: 0 },
    tls: { ...serverOf(first), requestCert: true, updates },
    limits,
    impls: {
      echo: {
        async unary({ text }, { values }) {
          return {
            text: text === "who am I?" ? (values.get(peerKey)?.tls?.certificate()?.fingerprint256 ?? "nobody") : text,
          };
        },
        async *serverStream() {},
        async clientStream(requests) {
          let count = 0;
          for await (const _ of requests) count++;
          return { count };
        },
        async *bidiStream(requests) {
          for await (const request of requests) yield request;
        },
      },
    },
  });
}

const askWho = async (client: Client<typeof EchoService>) => (await client.unary({ text: "who am I?" })).text;

describe.each(["1.1", "2"] as const)("TLS material that changes, over HTTP/%s", (httpVersion) => {
  it("is shown to, and asked of, connections that a server accepts from then on", async () => {
    const { updates, send } = updatesByHand();
    await using server = await start(updates);
    const before = open(server, httpVersion, clientOf(first));
    const client = createClient(EchoService, before.transport);
    expect(await askWho(client)).toBe(fingerprintOf(first.client.cert));
    send(serverOf(second));
    expect(await askWho(client)).toBe(fingerprintOf(first.client.cert)); // its connection goes on
    const stale = open(server, httpVersion, clientOf(first));
    await expect(createClient(EchoService, stale.transport).unary({})).rejects.toMatchObject({
      code: Code.Unavailable,
    });
    const after = open(server, httpVersion, clientOf(second));
    expect(await askWho(createClient(EchoService, after.transport))).toBe(fingerprintOf(second.client.cert));
    await Promise.all([before.close(), stale.close(), after.close()]);
  });

  it("is used by a client for calls from then on, while a call under way finishes on its connection", async () => {
    const { updates, send } = updatesByHand();
    await using server = await start(updates);
    const mine = updatesByHand();
    const calls = open(server, httpVersion, { ...clientOf(first), updates: mine.updates });
    const client = createClient(EchoService, calls.transport);
    await client.unary({});
    const more = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const long = client.clientStream(
      (async function* () {
        yield { text: "one" };
        begun.resolve();
        await more.promise;
        yield { text: "two" };
      })(),
    );
    await begun.promise;
    send(serverOf(second));
    mine.send(clientOf(second));
    expect(await askWho(client)).toBe(fingerprintOf(second.client.cert));
    more.resolve();
    expect((await long).count).toBe(2);
    await calls.close();
    expect(mine.listeners.size).toBe(0);
  });

  it("stays as it was when the new one cannot be used, and says what is wrong with it", async () => {
    const forServer = updatesByHand();
    const forClient = updatesByHand();
    await using server = await start(forServer.updates);
    const calls = open(server, httpVersion, { ...clientOf(first), updates: forClient.updates });
    const client = createClient(EchoService, calls.transport);
    expect(() => forServer.send({ ...serverOf(second), key: first.server.key })).toThrow(
      /^tls\.cert and tls\.key cannot/,
    );
    expect(() => forServer.send({ ...serverOf(second), cert: "nonsense" })).toThrow(/^tls\.cert cannot be used/);
    expect(() => forClient.send({ ...clientOf(second), ca: "nonsense" })).toThrow(/^tls\.ca cannot be used/);
    expect(await askWho(client)).toBe(fingerprintOf(first.client.cert));
    await calls.close();
  });

  it("stays in the parts that are undefined: nobody else's authorities are trusted for want of one's own", async () => {
    const { updates, send } = updatesByHand();
    await using server = await start(updates);
    send({ ...first.server, ca: undefined });
    const calls = open(server, httpVersion, clientOf(first));
    expect(await askWho(createClient(EchoService, calls.transport))).toBe(fingerprintOf(first.client.cert));
    await calls.close();
  });

  it("stays in the parts that a later update leaves out: what was replaced does not come back", async () => {
    const { updates, send } = updatesByHand();
    await using server = await start(updates);
    send(serverOf(second));
    send(second.server);
    const stale = open(server, httpVersion, { ...clientOf(first), ca: second.ca });
    await expect(createClient(EchoService, stale.transport).unary({})).rejects.toMatchObject({
      code: Code.Unavailable,
    });
    const calls = open(server, httpVersion, clientOf(second));
    expect(await askWho(createClient(EchoService, calls.transport))).toBe(fingerprintOf(second.client.cert));
    await Promise.all([stale.close(), calls.close()]);
  });

  it("ends with its server", async () => {
    const { updates, listeners } = updatesByHand();
    const server = await start(updates);
    expect(listeners.size).toBe(1);
    await server.close();
    expect(listeners.size).toBe(0);
  });

  it("loses no call while both sides change again and again, on connections of a few calls each", async () => {
    const forServer = updatesByHand();
    const forClient = updatesByHand();
    await using server = await start(forServer.updates, { maxRequestsPerConnection: 5 });
    const calls = open(server, httpVersion, { ...clientOf(first), updates: forClient.updates });
    const client = createClient(EchoService, calls.transport);
    let sent = 0;
    const worker = async () => {
      while (sent < 400) {
        const call = sent++;
        if (call % 40 === 0) {
          const world = call % 80 === 0 ? second : first;
          const ca = [first.ca, second.ca]; // a connection may be on its way with the certificate before
          forServer.send({ ...serverOf(world), ca });
          forClient.send({ ...clientOf(world), ca });
        }
        expect((await client.unary({ text: String(call) })).text).toBe(String(call));
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    await calls.close();
  });
});
