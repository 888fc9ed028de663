import type { Interceptor } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { type CallTransport, type ClientTlsOptions, openCallTransport } from "../wire/call-transport.ts";
import type { DirectEndpoint } from "../wire/direct-endpoint.ts";
import { parseEndpoint } from "../wire/endpoint.ts";

/** How a host reaches a plugin of its own to control it. */
export interface ControlConnection {
  /** Where the plugin listens, or how it is called without a socket. */
  readonly endpoint: string | DirectEndpoint;
  /** Proves the host to the plugin. Secret. */
  readonly controlToken: string;
  /** For a plugin that wants credentials of every caller; the first is outermost. Default: none. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** For a plugin at an https endpoint. */
  readonly tls?: ClientTlsOptions | undefined;
  readonly clock?: Clock | undefined;
}

/** Does no I/O by itself. */
export function openControlTransport({ endpoint, interceptors = [], tls, clock }: ControlConnection): CallTransport {
  if (typeof endpoint !== "string") return endpoint.open({ interceptors, clock });
  return openCallTransport({
    endpoint: parseEndpoint(endpoint),
    httpVersion: "1.1",
    interceptors: [...interceptors],
    tls,
    clock,
  });
}
