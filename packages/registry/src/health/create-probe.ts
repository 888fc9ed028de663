import { createClient } from "@connectrpc/connect";
import { type CallTransport, type ClientTlsOptions, type Endpoint, openCallTransport } from "@cpg/core";
import { PluginControl } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import type { Clock } from "@cpg/resilience";
import type { HttpUpstream, UnixUpstream } from "../router/upstream.ts";
import type { HealthReport } from "./health-monitor.ts";
import type { Probe, ProbeConnection } from "./probe.ts";
import { type ProbeSign, signOf } from "./probe-sign.ts";
import { type HealthMessage, readHealthReport } from "./read-health-report.ts";

export interface ProbeOptions {
  /** Authorities, certificate and key for https providers. Which name they have to prove is the upstream's. */
  readonly tls?: Omit<ClientTlsOptions, "servername" | "rejectUnauthorized"> | undefined;
  readonly clock?: Clock | undefined;
}

/** A whole report fits, and little more: what answers may be anything. */
const maxAnswerBytes = 64 * 1024;
/** The signal of each probe is its bound, so none of the transport's own is to come before. */
const noBoundMs = 2 ** 31 - 1;

/**
 * Asks PluginControl.GetHealth where the calls to a provider go: at the address that its registration was resolved to,
 * following no redirect. The connection is kept for the next probe, unless the answer was none of an RPC. A provider that may speak either HTTP is asked over
 * HTTP/1.1 first, and over HTTP/2 if it does not know that.
 */
export function createProbe(options: ProbeOptions = {}): Probe {
  return {
    open(upstream) {
      if (upstream.kind === "direct") {
        const { clock } = options;
        return probeOver([() => upstream.endpoint.open({ clock, callTimeoutMs: 0 })]);
      }
      const versions = upstream.http === "auto" ? (["1.1", "2"] as const) : [upstream.http];
      return probeOver(versions.map((version) => () => openOver(upstream, version, options)));
    },
  };
}

function openOver(upstream: HttpUpstream | UnixUpstream, httpVersion: "1.1" | "2", options: ProbeOptions) {
  const { tls, clock } = options;
  const secure = upstream.kind === "http" && upstream.secure;
  return openCallTransport({
    endpoint: endpointOf(upstream),
    httpVersion,
    clock,
    ...(secure && { tls: { ...tls, servername: upstream.servername } }),
    connectTimeoutMs: noBoundMs,
    callTimeoutMs: 0,
    pingIntervalMs: 0,
    maxMessageBytes: maxAnswerBytes,
    compression: false,
  });
}

/** The URL is what the provider sees; the socket goes to the address. */
function endpointOf(upstream: HttpUpstream | UnixUpstream): Endpoint {
  if (upstream.kind === "unix") return { kind: "unix", path: upstream.path };
  const { secure, authority, basePath, address, port } = upstream;
  const url = `${secure ? "https" : "http"}://${authority}${basePath}`;
  return { kind: "tcp", url, secure, host: address, port, loopback: false };
}

/** Tries each way until one is understood, and stays with that. */
function probeOver(ways: readonly (() => CallTransport)[]): ProbeConnection {
  const connections = ways.map(keptConnection);
  let known = connections.length === 1 ? connections[0] : undefined;

  const ask = async (signal: AbortSignal): Promise<ProbeSign> => {
    if (known !== undefined) return known.ask(signal);
    let sign: ProbeSign = { kind: "inconclusive" };
    for (const connection of connections) {
      if (signal.aborted) break;
      const next = await connection.ask(signal);
      if (next.kind === "answered") known = connection;
      // A second way that fails shows less than the first, unless it shows that somebody is there or nobody any more.
      if (sign.kind === "inconclusive" || ["answered", "foreign", "refused"].includes(next.kind)) sign = next;
      if (next.kind !== "foreign" && next.kind !== "reset") break;
    }
    return sign;
  };
  return {
    async ask(signal) {
      const sign = await ask(signal);
      return sign.kind === "foreign" ? { kind: "answered", opinion: undefined } : sign;
    },
    async close() {
      await Promise.all(connections.map((connection) => connection.close()));
    },
  };
}

interface KeptConnection {
  ask(signal: AbortSignal): Promise<ProbeSign>;
  close(): Promise<void>;
}

function keptConnection(open: () => CallTransport): KeptConnection {
  let calls: CallTransport | undefined;
  let used = false;

  const close = async (): Promise<void> => {
    const closing = calls;
    calls = undefined;
    used = false;
    await closing?.close();
  };
  return {
    async ask(signal) {
      calls ??= open();
      let sign = await askOnce(calls, signal);
      if (sign.kind === "reset" && used && !signal.aborted) {
        // The provider may have closed what was not in use, just now. A new connection shows whether it is there.
        await close();
        if (signal.aborted) return { kind: "inconclusive" };
        calls = open();
        sign = await askOnce(calls, signal);
      }
      used = sign.kind === "answered";
      return sign;
    },
    close,
  };
}

async function askOnce({ transport }: CallTransport, signal: AbortSignal): Promise<ProbeSign> {
  try {
    return {
      kind: "answered",
      opinion: opinionIn(await createClient(PluginControl, transport).getHealth({}, { signal })),
    };
  } catch (reason) {
    return signal.aborted ? { kind: "inconclusive" } : signOf(reason);
  }
}

function opinionIn(answer: HealthMessage): HealthReport | undefined {
  try {
    return readHealthReport(answer);
  } catch {
    return undefined; // garbage
  }
}
