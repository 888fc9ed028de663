import { timingSafeEqual } from "node:crypto";
import {
  type Client,
  createClient,
  type HandlerContext,
  type Interceptor,
  type ServiceImpl,
} from "@connectrpc/connect";
import {
  admitWhen,
  type CallTransportOptions,
  definePlugin,
  openCallTransport,
  type PluginServer,
  parseEndpoint,
  type ServeOptions,
  serve,
} from "@cpg/core";
import { createRegistry } from "@cpg/registry";
import { conformanceService } from "../../src/conformance-service.ts";
import {
  type BidiStreamRequest,
  ConformanceService,
  type ServerStreamRequest,
} from "../../src/gen/connectrpc/conformance/v1/service_pb.ts";
import { createSelfSigned } from "../../src/self-signed.ts";
import { type ProxyName, type RunningProxy, startProxy } from "./proxies.ts";

const joinKey = "key-of-all-plugins-of-this-test";

/** What the provider does for a call; a test sets what it needs. */
export interface Provider {
  serverStream?: (request: ServerStreamRequest, context: HandlerContext) => AsyncIterable<Uint8Array>;
  bidiStream?: (requests: AsyncIterable<BidiStreamRequest>, context: HandlerContext) => AsyncIterable<Uint8Array>;
  /** Hears of each message of a client stream, before the next is read. */
  onClientMessage?: (data: Uint8Array) => void;
}

export interface CallsOptions extends Pick<CallTransportOptions, "httpVersion" | "protocol"> {}

export interface ProxiedHost extends AsyncDisposable {
  readonly host: PluginServer;
  readonly proxy: RunningProxy;
  readonly provider: Provider;
  /** Certificate of the proxy. */
  readonly ca: string;
  /** Calls to the provider, through the proxy and the host's router. */
  client(options: CallsOptions): Client<typeof ConformanceService>;
}

/**
 * A host behind a proxy, with a provider and a caller that know nothing but the proxy's URL: their handshakes,
 * registration and calls go through it.
 */
export async function startProxiedHost(name: ProxyName): Promise<ProxiedHost> {
  const tls = await createSelfSigned();
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of closing.reverse()) await one();
  };
  try {
    // The host has to know the proxy's URL, and the proxy the host's port: it goes on from there.
    const proxied = await listenBehind(name, tls.cert, tls.key);
    const { host, proxy } = proxied;
    closing.push(() => host.close({ graceMs: 0 }), proxy.close);
    const provider: Provider = {};
    const linkTls = { ca: tls.cert };
    const plugin = await serve({
      plugins: { conformance },
      impls: { conformance: implementation(provider) },
      listen: { port: 0 },
      link: { hostUrl: proxy.url, tls: linkTls, interceptors: [withJoinKey] },
      maxMessageBytes,
      handleSignals: false,
      environment: {},
    });
    closing.push(() => plugin.close({ graceMs: 0 }));
    await plugin.link?.whenLinked();
    const { identity, token } = host.identities.issue({
      selfId: "caller",
      peer: { network: "tcp", address: "127.0.0.1", port: undefined, tls: undefined },
    });
    const routed: Interceptor = (next) => (request) => {
      const header = new Headers(request.header);
      header.set("x-plugin-runtime-id", identity.runtimeId);
      header.set("authorization", `Bearer ${token}`);
      return next({ ...request, header, url: `${proxy.url}/services/conformance/-/${request.method.name}` });
    };
    return {
      host,
      proxy,
      provider,
      ca: tls.cert,
      client(options) {
        const calls = openCallTransport({
          ...options,
          endpoint: parseEndpoint(proxy.url),
          tls: linkTls,
          interceptors: [routed],
          maxMessageBytes,
          compression: false,
        });
        closing.push(() => calls.close());
        return createClient(ConformanceService, calls.transport);
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const maxMessageBytes = 8 * 1024 * 1024;

const conformance = definePlugin({
  name: "conformance",
  version: "1.0.0",
  service: ConformanceService,
  provides: [{ type: "conformance", version: "1.0.0" }],
});

/** As a plugin behind a proxy proves that it belongs here. */
export const withJoinKey: Interceptor = (next) => (request) => {
  const header = new Headers(request.header);
  header.set("x-join-key", joinKey);
  return next({ ...request, header });
};

async function listenBehind(name: ProxyName, cert: string, key: string) {
  const host = await startHost({ admission: admitWhen("join key", ({ headers }) => isJoinKey(headers)) });
  try {
    return { host, proxy: await startProxy(name, Number(new URL(host.endpoint).port), { cert, key }) };
  } catch (error) {
    await host.close({ graceMs: 0 });
    throw error;
  }
}

/** A host that has a registry, and a proxy in front of it later. */
export function startHost(options: Pick<ServeOptions<Record<never, never>>, "admission">): Promise<PluginServer> {
  return serve({
    plugins: {},
    impls: {},
    extensions: [createRegistry()],
    listen: { port: 0 },
    publicUrl: "https://plugins.example.test",
    handleSignals: false,
    environment: {},
    ...options,
  });
}

function isJoinKey(headers: Headers): boolean {
  const sent = Buffer.from(headers.get("x-join-key") ?? "");
  const wanted = Buffer.from(joinKey);
  return sent.length === wanted.length && timingSafeEqual(sent, wanted);
}

function implementation(provider: Provider): ServiceImpl<typeof ConformanceService> {
  const payload = (data: Uint8Array) => ({ payload: { data } });
  return {
    ...conformanceService,
    unary(request, context) {
      context.responseHeader.set("x-head", "first");
      context.responseTrailer.set("x-tail", "last");
      return payload(request.requestData);
    },
    async *serverStream(request, context) {
      context.responseTrailer.set("x-tail", "last");
      for await (const data of provider.serverStream?.(request, context) ?? []) yield payload(data);
    },
    async clientStream(requests) {
      let bytes = 0;
      for await (const { requestData } of requests) {
        bytes += requestData.length;
        provider.onClientMessage?.(requestData);
      }
      return payload(Buffer.from(String(bytes)));
    },
    async *bidiStream(requests, context) {
      for await (const data of provider.bidiStream?.(requests, context) ?? []) yield payload(data);
    },
  };
}
