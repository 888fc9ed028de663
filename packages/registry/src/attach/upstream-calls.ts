import type { Interceptor, Transport } from "@connectrpc/connect";
import { type CallTransport, type ClientTlsOptions, type Endpoint, openCallTransport } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import { signOf } from "../health/probe-sign.ts";
import type { HttpUpstream, UnixUpstream, Upstream } from "../router/upstream.ts";

export interface UpstreamCallOptions {
  /** For https upstreams. The name in the certificate is that of the upstream. Default: Node's own authorities. */
  readonly tls?: ClientTlsOptions | undefined;
  /** For plugins that want credentials of every caller; the first is outermost. Default: none. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  readonly clock?: Clock | undefined;
}

/** Calls of the host's own to one plugin. */
export interface UpstreamCalls {
  /** Runs one call. It is made again over the other HTTP when the plugin did not understand the first. */
  call<T>(work: (transport: Transport) => Promise<T>): Promise<T>;
  /** Ends the connections. Idempotent. */
  close(): Promise<void>;
}

/** A whole description fits; what answers may be anything. */
const maxAnswerBytes = 1024 * 1024;

/**
 * Calls to where a plugin is, at the address that its name was resolved to, following no redirect. A plugin that may speak
 * either HTTP is called over HTTP/1.1 first. Does no I/O before the first call.
 */
export function openUpstreamCalls(upstream: Upstream, options: UpstreamCallOptions): UpstreamCalls {
  const ways = waysTo(upstream, options);
  const open = new Map<number, CallTransport>();
  let way = 0;

  const transportOf = (index: number): Transport => {
    const known = open.get(index) ?? ways[index]?.();
    if (known === undefined) throw new RangeError(`no way ${index} to call`);
    open.set(index, known);
    return known.transport;
  };
  return {
    async call(work) {
      for (;;) {
        const tried = way;
        try {
          return await work(transportOf(tried));
        } catch (reason) {
          const { kind } = signOf(reason);
          if ((kind !== "foreign" && kind !== "reset") || tried + 1 >= ways.length) throw reason;
          way = Math.max(way, tried + 1);
        }
      }
    },
    async close() {
      await Promise.all([...open.values()].map((calls) => calls.close()));
    },
  };
}

function waysTo(upstream: Upstream, { tls, interceptors, clock }: UpstreamCallOptions): (() => CallTransport)[] {
  if (upstream.kind === "direct") return [() => upstream.endpoint.open({ interceptors, clock })];
  const secure = upstream.kind === "http" && upstream.secure;
  const versions = upstream.http === "auto" ? (["1.1", "2"] as const) : [upstream.http];
  return versions.map((httpVersion) => () => {
    return openCallTransport({
      endpoint: endpointOf(upstream),
      httpVersion,
      interceptors,
      clock,
      ...(secure && { tls: { ...tls, servername: upstream.servername ?? tls?.servername } }),
      maxMessageBytes: maxAnswerBytes,
      compression: false,
    });
  });
}

/** The URL is what the plugin sees; the socket goes to the address. */
function endpointOf(upstream: HttpUpstream | UnixUpstream): Endpoint {
  if (upstream.kind === "unix") return { kind: "unix", path: upstream.path };
  const { secure, authority, basePath, address, port } = upstream;
  const url = `${secure ? "https" : "http"}://${authority}${basePath}`;
  return { kind: "tcp", url, secure, host: address, port, loopback: false };
}
