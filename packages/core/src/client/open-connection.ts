import { Code, ConnectError } from "@connectrpc/connect";
import { type HandshakeResult, shakeHands } from "../handshake/handshake-client.ts";
import { within } from "../internal/bounded.ts";
import { type CallTransport, type CallTransportOptions, openCallTransport } from "../wire/call-transport.ts";
import { resolveCallTransportOptions } from "../wire/call-transport-options.ts";
import { warnOfCleartext } from "../wire/cleartext-warning.ts";
import { checkDirectCallOptions, type DirectEndpoint } from "../wire/direct-endpoint.ts";
import { parseEndpoint } from "../wire/endpoint.ts";
import type { ResolvedClientOptions } from "./plugin-client-options.ts";
import { preferHttp2 } from "./prefer-http2.ts";

/** What a handshake settled, and the HTTP version that calls use. */
export interface PluginConnection extends HandshakeResult {
  /** Where the server is, or its name if it has no address. */
  readonly endpoint: string;
  /** Undefined: calls do not travel over HTTP. */
  readonly httpVersion: "1.1" | "2" | undefined;
}

export interface Connected {
  readonly connection: PluginConnection;
  readonly calls: CallTransport;
}

/** Connects to servers and shakes hands with them, each within its bound. */
export interface ConnectionOpener {
  /** Does no I/O. @throws {TypeError} {RangeError} naming the option that does not fit this endpoint. */
  check(target: string | DirectEndpoint): void;
  open(
    target: string | DirectEndpoint,
    appProtocolVersions: readonly number[],
    signal: AbortSignal,
  ): Promise<Connected>;
  /** Resolves when the attempts so far have let go of their connections, or handed them over. */
  settled(): Promise<unknown>;
}

/** Most of the bound on the handshake that trying HTTP/2 may take: HTTP/1.1 works by then. */
const upgradeShare = 0.5;

export function createConnectionOpener(options: ResolvedClientOptions): ConnectionOpener {
  const { httpVersion, handshakeTimeoutMs, clock } = options;
  const firstVersion = httpVersion === "2" ? "2" : "1.1";
  const attempts = new Set<Promise<unknown>>();

  const establish = async (
    target: string | DirectEndpoint,
    appProtocolVersions: readonly number[],
    signal: AbortSignal,
  ): Promise<Connected> => {
    const open = transportsTo(options, target);
    const startedMs = clock.monotonic();
    const first = open(firstVersion);
    let calls = first;
    try {
      const { plugins, magicCookie, selfId, selfVersion, clientMetadata } = options;
      const result = await shakeHands(first.transport, {
        plugins,
        magicCookie,
        appProtocolVersions,
        selfId,
        selfVersion,
        clientMetadata,
        timeoutMs: handshakeTimeoutMs,
        signal,
        clock,
      });
      if (httpVersion === "auto" && result.http2 && first.httpVersion !== undefined) {
        const leftMs = startedMs + handshakeTimeoutMs - clock.monotonic();
        const timeoutMs = Math.max(0, leftMs) * upgradeShare;
        calls = await preferHttp2({ http1: first, openHttp2: () => open("2"), timeoutMs, signal, clock });
      }
      // Nobody waits for what comes after an abort.
      signal.throwIfAborted();
      return { calls, connection: { ...result, endpoint: nameOf(target), httpVersion: calls.httpVersion } };
    } catch (reason) {
      await Promise.all([first.close(), calls.close()]);
      throw reason;
    }
  };

  return {
    check(target) {
      checkChoices(options, target, firstVersion);
      if (typeof target === "string") warnOfCleartext(parseEndpoint(target));
    },
    open(target, appProtocolVersions, signal) {
      const work = (attempt: AbortSignal): Promise<Connected> => {
        const established = establish(target, appProtocolVersions, attempt);
        const ended = established.catch(() => {}).finally(() => attempts.delete(ended));
        attempts.add(ended);
        return established;
      };
      const late = () => {
        const message = `no handshake with ${nameOf(target)} within ${handshakeTimeoutMs} ms`;
        return new ConnectError(message, Code.DeadlineExceeded);
      };
      return within(clock, handshakeTimeoutMs, work, late, signal);
    },
    settled: () => Promise.all(attempts),
  };
}

function nameOf(target: string | DirectEndpoint): string {
  return typeof target === "string" ? target : target.name;
}

function checkChoices(options: ResolvedClientOptions, target: string | DirectEndpoint, httpVersion: "1.1" | "2"): void {
  if (typeof target === "string") resolveCallTransportOptions({ ...callOptions(options, target), httpVersion });
  else checkDirectCallOptions(options);
}

/** @throws {TypeError} {RangeError} naming the option. */
function transportsTo(
  options: ResolvedClientOptions,
  target: string | DirectEndpoint,
): (version: "1.1" | "2") => CallTransport {
  if (typeof target === "string") {
    const choices = callOptions(options, target);
    warnOfCleartext(choices.endpoint);
    return (httpVersion) => openCallTransport({ ...choices, httpVersion });
  }
  const { interceptors, callTimeoutMs, maxMessageBytes, clock } = options;
  return () => target.open({ interceptors, callTimeoutMs, maxMessageBytes, clock });
}

function callOptions(options: ResolvedClientOptions, endpoint: string): Omit<CallTransportOptions, "httpVersion"> {
  return {
    endpoint: parseEndpoint(endpoint),
    interceptors: options.interceptors,
    protocol: options.protocol,
    json: options.json,
    tls: options.tls,
    connectTimeoutMs: options.connectTimeoutMs,
    callTimeoutMs: options.callTimeoutMs,
    pingIntervalMs: options.pingIntervalMs,
    pingTimeoutMs: options.pingTimeoutMs,
    maxMessageBytes: options.maxMessageBytes,
    compression: options.compression,
    clock: options.clock,
  };
}
