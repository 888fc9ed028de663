import { createClient, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createBroker, hostLogger } from "@cpg/broker";
import { type ControlOptions, callerIdKey, definePlugin, type PluginServer, serve } from "@cpg/core";
import { kvPlugin as kv } from "@cpg/example-kv";
import { createRegistry, type Registry } from "@cpg/registry";

type KV = typeof kv.service;

export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value);

/** For servers that take nothing from the environment of the tests. */
const quiet = { environment: {}, handleSignals: false } as const;

/** A store in memory: put and delete are seen by watches. "caller" is who calls. */
function memoryKv(): ServiceImpl<KV> {
  const values = new Map<string, Uint8Array<ArrayBuffer>>();
  const watches = new Set<(event: { type: number; key: string; value: Uint8Array<ArrayBuffer> }) => void>();
  const tell = (type: number, key: string, value = bytes("")): void => {
    for (const watch of watches) watch({ type, key, value });
  };
  return {
    get({ key }, { values: facts }) {
      if (key === "caller") return { found: true, value: bytes(facts.get(callerIdKey) ?? "") };
      const value = values.get(key);
      return { found: value !== undefined, value: value ?? bytes("") };
    },
    put({ key, value }) {
      values.set(key, new Uint8Array(value));
      tell(1, key, new Uint8Array(value));
      return {};
    },
    delete({ key }) {
      const found = values.delete(key);
      if (found) tell(2, key);
      return { found };
    },
    async *watch({ prefix }, { signal }) {
      const waiting: { type: number; key: string; value: Uint8Array<ArrayBuffer> }[] = [];
      let wake = Promise.withResolvers<void>();
      const hear = (event: (typeof waiting)[number]): void => {
        if (!event.key.startsWith(prefix)) return;
        waiting.push(event);
        wake.resolve();
      };
      signal.addEventListener("abort", () => wake.resolve());
      watches.add(hear);
      try {
        yield {};
        while (!signal.aborted) {
          yield* waiting.splice(0);
          if (waiting.length > 0) continue;
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      } finally {
        watches.delete(hear);
      }
    },
  };
}

/** Calls a KV plugin at its URL. */
export function kvAt(baseUrl: string, protocol: "connect" | "grpc" = "connect") {
  return clientOf(baseUrl, protocol, []);
}

/** Calls the KV plugins that a host has under a type, through the host, as whoever `identity` proves. */
export function routedKv(hostUrl: string, type: string, identity: Proof, protocol: "connect" | "grpc") {
  const route: Interceptor = (next) => (request) => {
    const header = new Headers(request.header);
    header.set("x-plugin-runtime-id", identity.runtimeId);
    header.set("authorization", `Bearer ${identity.token}`);
    return next({ ...request, header, url: `${hostUrl}/services/${type}/-/${request.method.name}` });
  };
  return clientOf(hostUrl, protocol, [route]);
}

function clientOf(baseUrl: string, protocol: "connect" | "grpc", interceptors: Interceptor[]) {
  const options = { baseUrl, interceptors };
  const transport =
    protocol === "grpc" ? createGrpcTransport(options) : createConnectTransport({ ...options, httpVersion: "1.1" });
  return createClient(kv.service, transport);
}

export interface Proof {
  readonly runtimeId: string;
  readonly token: string;
}

/** What a plugin of another host could do: shakes hands by hand. */
export async function proofAt(hostUrl: string, selfId: string): Promise<Proof> {
  const cookie = { magicCookieKey: "CONNECT_PLUGIN", magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e" };
  const response = await fetch(`${hostUrl}/connectplugin.v1.HandshakeService/Handshake`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ coreProtocolVersion: 1, appProtocolVersion: 1, ...cookie, selfId }),
  });
  const { runtimeId, runtimeToken } = (await response.json()) as { runtimeId: string; runtimeToken: string };
  return { runtimeId, token: runtimeToken };
}

/** An entry of a host's log. */
export interface LoggedLine {
  readonly plugin?: string;
  readonly message: string;
}

/** A host of ours with a registry, on a port of its own. It lends its log. */
export async function startHost(port = 0) {
  const registry: Registry = createRegistry({ health: { graceMs: 0, intervalMs: 100 } });
  const logged: LoggedLine[] = [];
  const write = (fields: object, message: string): void => void logged.push({ ...fields, message });
  const broker = createBroker({ capabilities: [hostLogger({ debug: write, info: write, warn: write, error: write })] });
  const host = await serve({ plugins: {}, impls: {}, extensions: [registry, broker], listen: { port }, ...quiet });
  return { registry, broker, logged, host, url: host.endpoint };
}

/** A plugin of ours that provides KV under a type, over HTTP/1.1 and cleartext as Go hosts speak them. */
export async function startKvPlugin(
  hostUrl: string | undefined,
  type = "ts-kv",
  control: ControlOptions = { allowAnyHost: true },
): Promise<PluginServer> {
  const provides = [{ type, version: "1.0.0" }];
  const requires = ["go-kv", "go-nowhere", "go-late"].map((needed) => ({ type: needed, requiredForStartup: false }));
  return await serve({
    plugins: { kv: definePlugin({ name: "kv", version: "1.0.0", service: kv.service, provides, requires }) },
    impls: { kv: memoryKv() },
    selfId: `${type}-plugin`,
    control,
    link: { hostUrl, heartbeatMs: 200, backoff: { initialMs: 20, maxMs: 200 } },
    listen: { port: 0 },
    ...quiet,
  });
}

/** Reads a stream as far as `until`: what `see` makes of the last message, or how many messages. */
export async function seen<Message>(
  messages: AsyncIterable<Message>,
  see: (message: Message) => string,
  until: string | number,
): Promise<string[]> {
  const all: string[] = [];
  for await (const message of messages) {
    all.push(see(message));
    if (all.at(-1) === until || all.length === until) break;
  }
  return all;
}
