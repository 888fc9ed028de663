// A plugin is replaced again and again, while callers in a closed loop and long streams use it through the router. Prints
// what became of them, and what the process holds before and after, as one line of JSON. Needs --expose-gc.
// Arguments: number of replacements, and the least number of unary calls.
import { readdirSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { definePlugin, nodeStrategy } from "@cpg/core";
import { createPlatform, type RoutedCallRecord } from "@cpg/registry";
import { RelayService } from "../support/relay-service.ts";

const [replacements = 50, leastCalls = 20_000] = process.argv.slice(2).map(Number);
const callers = 16;
const streams = 20;
const warmUpReplacements = 5;
const streamGraceMs = 50;

const relay = definePlugin({
  name: "relay",
  version: "1.0.0",
  service: RelayService,
  provides: [{ type: "relay", version: "1.0.0", path: "/" }],
});
const strategy = nodeStrategy({ entry: fileURLToPath(new URL("./relay-plugin.ts", import.meta.url)) });
const spec = { id: "relay", strategy, plugins: { relay } } as const;

const removedAt = new Map<string, number>();
let lateCalls = 0;
const onCall = ({ provider, durationMs }: RoutedCallRecord): void => {
  const removed = provider === undefined ? undefined : removedAt.get(provider);
  if (removed !== undefined && performance.now() - durationMs > removed) lateCalls++;
};

const platform = await createPlatform({
  host: { listen: { port: 0 } },
  registry: {
    onCall,
    onChange(change) {
      if (change.type === "provider-removed") removedAt.set(change.provider.id, performance.now());
    },
  },
  plugins: [spec],
});
const { endpoint, identities } = platform.host;
const { identity, token } = identities.issue({
  selfId: "api",
  declares: { provides: [], requires: [{ type: "relay", minVersion: "" }] },
});
const credentials = { "x-plugin-runtime-id": identity.runtimeId, authorization: `Bearer ${token}` };
const firstProvider = platform.registry.providers()[0]?.id ?? "";

const enough = Promise.withResolvers<void>();
let measuring = false;
const tally = { calls: 0, failures: {} as Record<string, number>, streamEnds: {} as Record<string, number> };
const count = (tallies: Record<string, number>, what: string): void => {
  tallies[what] = (tallies[what] ?? 0) + 1;
};

/** Half of the callers leave the choice to the host, half go on naming the first provider. */
function callOnce(session: ClientHttp2Session, target: string): Promise<void> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/services/relay/${target}/cpg.test.v1.RelayService/Unary`,
      "content-type": "application/json",
      ...credentials,
    });
    let status = 0;
    let body = "";
    stream.setEncoding("utf8");
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    stream.on("data", (chunk) => {
      body += chunk;
    });
    stream.on("error", () => {}); // "close" follows
    stream.on("close", () => {
      tally.calls++;
      if (measuring && tally.calls >= leastCalls) enough.resolve();
      if (status !== 200 || !body.startsWith('{"text":"hello"')) count(tally.failures, `${status} ${body}`);
      resolve();
    });
    stream.end('{"text":"hello"}');
  });
}

async function underLoad(work: () => Promise<void>): Promise<void> {
  const stopped = new AbortController();
  const sessions = new Http2SessionManager(endpoint);
  const transport = createConnectTransport({
    httpVersion: "2",
    sessionManager: sessions,
    baseUrl: `${endpoint}/services/relay/-`,
    interceptors: [
      (next) => (request) => {
        for (const [name, value] of Object.entries(credentials)) request.header.set(name, value);
        return next(request);
      },
    ],
  });
  const client = createClient(RelayService, transport);
  const streamOn = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        for await (const _ of client.serverStream({ text: "hello" }, { signal: stopped.signal }));
        count(tally.streamEnds, "ended");
      } catch (reason) {
        if (!stopped.signal.aborted) count(tally.streamEnds, Code[ConnectError.from(reason).code]);
      }
    }
  };
  const callOn = async (caller: number): Promise<void> => {
    const session = connect(endpoint);
    while (!stopped.signal.aborted) await callOnce(session, caller % 2 === 0 ? "-" : firstProvider);
    await new Promise<void>((resolve) => session.close(resolve));
  };
  const load = [
    ...Array.from({ length: callers }, (_, caller) => callOn(caller)),
    ...Array.from({ length: streams }, () => streamOn()),
  ];
  await work();
  stopped.abort(new Error("enough"));
  await Promise.all(load);
  sessions.abort();
}

const replaceOften = async (times: number): Promise<number[]> => {
  const switches: number[] = [];
  for (let time = 0; time < times; time++) {
    const { switchMs } = await platform.replace("relay", spec, { streamGraceMs });
    switches.push(switchMs);
  }
  return switches;
};

async function holdings() {
  if (globalThis.gc === undefined) throw new Error("run this with --expose-gc");
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
  }
  return {
    heapBytes: process.memoryUsage().heapUsed,
    descriptors: process.platform === "linux" ? readdirSync("/proc/self/fd").length : -1,
    resources: process.getActiveResourcesInfo().length,
  };
}

await underLoad(async () => void (await replaceOften(warmUpReplacements)));
const before = await holdings();
measuring = true;
tally.calls = 0;
tally.failures = {};
tally.streamEnds = {};
const startedMs = performance.now();
let switches: number[] = [];
await underLoad(async () => {
  switches = await replaceOften(replacements);
  await enough.promise;
});
const seconds = (performance.now() - startedMs) / 1000;
const after = await holdings();
await platform.close();
console.log(
  JSON.stringify({
    ...tally,
    lateCalls,
    callsPerSecond: Math.round(tally.calls / seconds),
    slowestSwitchMs: Math.max(...switches),
    before,
    after,
  }),
);
