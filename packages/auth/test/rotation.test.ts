import { X509Certificate } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { clientTls, createMtlsAuth, createTlsSource, serverTls, type TlsSource, watchTlsFiles } from "@cpg/auth";
import { createCertificateAuthority, type IssuedCertificate } from "@cpg/auth/testing";
import { type Peer, peerKey } from "@cpg/resilience";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HttpVersion, startCoreServer } from "./support/who-servers.ts";
import { createWho, type WhoService } from "./support/who-service.ts";

const calls = 5_000;
const callsPerCertificate = 100;
const callsPerConnection = 50;
const generations = calls / callsPerCertificate;

const authority = await createCertificateAuthority();
const issueAll = (commonName: string) =>
  Promise.all(Array.from({ length: generations }, () => authority.issue({ commonName })));
const [serverCertificates, clientCertificates] = await Promise.all([issueAll("server"), issueAll("client")]);
const fingerprintsOf = (issued: readonly IssuedCertificate[]) =>
  issued.map(({ cert }) => new X509Certificate(cert).fingerprint256);
const [serverFingerprints, clientFingerprints] = [serverCertificates, clientCertificates].map(fingerprintsOf);

/** Certificates of one side, one after the other. */
interface Rotation extends AsyncDisposable {
  readonly source: TlsSource;
  /** The certificate that is in use now, by its place. */
  readonly newest: number;
  rotate(): Promise<void>;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cpg-rotation-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** @param show - makes the certificate at this place the newest for the source. */
function rotationOf(source: TlsSource, show: (place: number) => Promise<unknown>): Rotation {
  let newest = 0;
  let onUpdate = () => {};
  // The first to hear of it: servers and clients use it from the same moment.
  source.tls.updates(() => {
    newest++;
    onUpdate();
  });
  return {
    source,
    get newest() {
      return newest;
    },
    async rotate() {
      const updated = new Promise<void>((resolve) => {
        onUpdate = resolve;
      });
      await show(newest + 1);
      await updated;
    },
    [Symbol.asyncDispose]: () => source.close(),
  };
}

async function rotateFiles(certificates: readonly IssuedCertificate[]): Promise<Rotation> {
  const paths = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key"), ca: join(folder, "ca.crt") };
  const write = async (place: number) => {
    for (const name of ["cert", "key"] as const) {
      await writeFile(`${paths[name]}.new`, certificates[place]?.[name] ?? "");
      await rename(`${paths[name]}.new`, paths[name]);
    }
  };
  await writeFile(paths.ca, authority.ca);
  await write(0);
  return rotationOf(await watchTlsFiles({ ...paths, refreshMs: 0 }), write);
}

async function rotateFunction(certificates: readonly IssuedCertificate[]): Promise<Rotation> {
  let shown = 0;
  const load = () => ({ ...certificates[shown], ca: authority.ca });
  const source = await createTlsSource({ load, refreshMs: 0 });
  return rotationOf(source, (place) => {
    shown = place;
    return source.reload();
  });
}

/** What a client's connection had to see, and saw. */
interface Dialed {
  /** The newest when it began. */
  readonly newest: { readonly client: number; readonly server: number };
  readonly server: number;
}

/** Watches the connections that clients of this process make over TLS, by their ports. */
function watchDials(client: Rotation, server: Rotation) {
  const dialed = new Map<number | undefined, Dialed[]>();
  const onDial = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    if (!(socket instanceof TLSSocket)) return;
    const newest = { client: client.newest, server: server.newest };
    socket.once("secureConnect", () => {
      const shown = socket.getPeerX509Certificate()?.fingerprint256 ?? "none";
      const before = dialed.get(socket.localPort) ?? []; // a port is used again after its connection has ended
      dialed.set(socket.localPort, [...before, { newest, server: serverFingerprints?.indexOf(shown) ?? -1 }]);
    });
  };
  subscribe("net.client.socket", onDial);
  return { dialed, [Symbol.dispose]: () => void unsubscribe("net.client.socket", onDial) };
}

function countCalls() {
  const callsOf = new Map<Peer, number>();
  const count = ({ values }: HandlerContext) => {
    const peer = values.get(peerKey);
    if (peer !== undefined) callsOf.set(peer, (callsOf.get(peer) ?? 0) + 1);
  };
  const { unary, serverStream } = createWho();
  const impl: ServiceImpl<typeof WhoService> = {
    unary(request, context) {
      count(context);
      return unary(request, context);
    },
    serverStream(request, context) {
      count(context);
      return serverStream(request, context);
    },
  };
  return { callsOf, impl };
}

describe("certificates that change on both sides while calls run", { timeout: 60_000 }, () => {
  it.each<{ httpVersion: HttpVersion; callers: number; supply: typeof rotateFiles; from: string; limit: number }>([
    { httpVersion: "1.1", callers: 2, supply: rotateFunction, from: "a function", limit: callsPerConnection },
    // A peer that is told to open another connection may have sent one more call for each of its callers.
    { httpVersion: "2", callers: 8, supply: rotateFiles, from: "files", limit: callsPerConnection - 8 },
  ])("lose no call, and every new connection has the newest: HTTP/$httpVersion, from $from", async (options) => {
    const { httpVersion, callers, supply, limit } = options;
    await using ofServer = await supply(serverCertificates);
    await using ofClient = await rotateFunction(clientCertificates);
    using dials = watchDials(ofClient, ofServer);
    const { callsOf, impl } = countCalls();
    await using server = await startCoreServer({
      tls: serverTls(ofServer.source),
      auth: createMtlsAuth({ identity: "subject", tls: ofServer.source.tls }),
      impl,
      maxRequestsPerConnection: limit,
    });
    const client = server.open(clientTls(ofClient.source), httpVersion);
    const stream = async () => {
      let answers = 0;
      for await (const { identity } of client.serverStream({})) answers += identity === "CN=client" ? 1 : 0;
      return { identity: answers === 2 ? "CN=client" : "somebody else" };
    };

    const rotations = [Promise.resolve()];
    const rotate = async () => {
      await Promise.all([ofServer.rotate(), ofClient.rotate()]);
    };
    let sent = 0;
    const caller = async () => {
      while (sent < calls) {
        const call = sent++;
        const hundred = Math.floor(call / callsPerCertificate);
        await rotations[hundred - 1];
        // Those of both sides change while calls go on; the hundred after this one waits for that.
        if (hundred > 0) rotations[hundred] ??= rotate();
        const answer = await (call % 10 === 0 ? stream() : client.unary({}));
        expect(answer.identity).toBe("CN=client");
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    await Promise.all(rotations);

    expect([ofServer.newest, ofClient.newest]).toEqual([generations - 1, generations - 1]);
    expect([...callsOf.values()].reduce((sum, count) => sum + count, 0)).toBe(calls);
    expect(Math.max(...callsOf.values())).toBeLessThanOrEqual(callsPerConnection);
    expect(callsOf.size).toBeGreaterThanOrEqual(calls / callsPerConnection);
    for (const { tls, port } of callsOf.keys()) {
      const connection = dials.dialed.get(port)?.shift(); // both sides saw them in one order
      const shown = clientFingerprints?.indexOf(tls?.certificate()?.fingerprint256 ?? "none");
      expect(shown).toBe(connection?.newest.client);
      expect(connection?.server).toBeGreaterThanOrEqual(connection?.newest.server ?? Number.NaN);
    }
  });
});
