import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCertificates, type TestCertificates } from "./support/certificates.ts";
import { createEcho } from "./support/echo-service.ts";
import { echoClient, serveEcho } from "./support/started-server.ts";

let certificates: TestCertificates;
let directory: string;
beforeAll(async () => {
  certificates = await createCertificates();
  directory = await mkdtemp(join(tmpdir(), "cpg-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

type Network = "tcp" | "tls" | "unix";
const networks: readonly Network[] = ["tcp", "tls", "unix"];
const httpVersions = ["1.1", "2"] as const;
const protocols = ["connect", "grpc", "grpc-web"] as const;
const cases = networks.flatMap((network) =>
  httpVersions.flatMap((httpVersion) => protocols.map((protocol) => ({ network, httpVersion, protocol }))),
);

let sockets = 0;
async function start({ network, httpVersion, protocol }: (typeof cases)[number], impl = createEcho()) {
  sockets += 1;
  const server = await serveEcho({
    impls: { echo: impl },
    listen: network === "unix" ? { socketPath: join(directory, `${sockets}.sock`) } : { port: 0 },
    ...(network === "tls" && { tls: { cert: certificates.server.cert, key: certificates.server.key } }),
  });
  const client = echoClient(server.endpoint, {
    httpVersion,
    protocol,
    ...(network === "tls" && { tls: { ca: certificates.ca } }),
  });
  return {
    server,
    client,
    call: await client.dispense("echo"),
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close({ graceMs: 0 });
    },
  };
}

describe.each(cases)("$protocol over HTTP/$httpVersion on $network", (setting) => {
  it("carries unary calls and client streams", async () => {
    await using started = await start(setting);
    const { call } = started;
    const data = new Uint8Array([0, 1, 255]);
    expect(await call.unary({ text: "ä", data, count: 7 })).toMatchObject({ text: "ä", data, count: 7 });
    async function* texts() {
      yield { text: "a" };
      yield { text: "b" };
    }
    expect(await call.clientStream(texts())).toMatchObject({ text: "ab", count: 2 });
  });

  it("carries server streams in order, and ends them", async () => {
    await using started = await start(setting);
    const counts: number[] = [];
    for await (const { count } of started.call.serverStream({ count: 100 })) counts.push(count);
    expect(counts).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it("ends the call on the server when the reader leaves a stream", async () => {
    const aborted = Promise.withResolvers<void>();
    await using started = await start(setting, {
      ...createEcho(),
      async *serverStream(_request, { signal }) {
        signal.addEventListener("abort", () => aborted.resolve(), { once: true });
        yield { text: "first" };
        await aborted.promise;
      },
    });
    for await (const { text } of started.call.serverStream({})) {
      expect(text).toBe("first");
      break;
    }
    await aborted.promise;
  });

  it("tells the server of an abort and of a deadline", async () => {
    const seen: number[] = [];
    const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using started = await start(setting, {
      ...createEcho(),
      unary({ count }, { signal, timeoutMs }) {
        seen.push(timeoutMs() === undefined ? 0 : 1);
        arrived[count]?.resolve();
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            ended[count]?.resolve();
            reject(signal.reason);
          });
        });
      },
    });
    const abort = new AbortController();
    const first = started.call.unary({ count: 0 }, { signal: abort.signal, timeoutMs: 60_000 });
    await arrived[0]?.promise;
    abort.abort();
    expect(ConnectError.from(await first.catch((reason: unknown) => reason)).code).toBe(Code.Canceled);
    await ended[0]?.promise;

    const second = started.call.unary({ count: 1 }, { timeoutMs: 50 });
    expect(ConnectError.from(await second.catch((reason: unknown) => reason)).code).toBe(Code.DeadlineExceeded);
    await ended[1]?.promise;
    expect(seen).toEqual([1, 1]);
  });

  it("carries errors with their code", async () => {
    await using started = await start(setting, {
      ...createEcho(),
      unary() {
        throw new ConnectError("not today", Code.ResourceExhausted);
      },
    });
    await expect(started.call.unary({})).rejects.toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: "not today",
    });
  });
});

// HTTP/1.1 cannot answer while it is still sending, so connect-node offers bidi streams on HTTP/2 only.
describe.each(cases.filter(({ httpVersion }) => httpVersion === "2"))(
  "$protocol over HTTP/2 on $network",
  (setting) => {
    it("carries bidi streams, each answer before the next question", async () => {
      await using started = await start(setting);
      const answers: string[] = [];
      let answered = Promise.withResolvers<void>();
      async function* questions() {
        for (const text of ["one", "two", "three"]) {
          yield { text };
          await answered.promise;
          answered = Promise.withResolvers<void>();
        }
      }
      for await (const { text } of started.call.bidiStream(questions())) {
        answers.push(text);
        answered.resolve();
      }
      expect(answers).toEqual(["one", "two", "three"]);
    });
  },
);

describe.each(httpVersions)("HTTP/%s under load", (httpVersion) => {
  it("answers 1,000 concurrent calls, each its own", { timeout: 60_000 }, async () => {
    await using started = await start({ network: "tcp", httpVersion, protocol: "connect" });
    const calls = Array.from({ length: 1_000 }, (_, count) => started.call.unary({ count }));
    const counts = (await Promise.all(calls)).map(({ count }) => count);
    expect(counts).toEqual(Array.from({ length: 1_000 }, (_, count) => count));
  });
});
