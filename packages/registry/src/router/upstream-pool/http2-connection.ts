import { type ClientHttp2Session, connect } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { UnsentCause } from "../forward/forwarder.ts";
import { UnsentError, unsentError } from "./unsent-error.ts";
import type { ResolvedForwarderLimits } from "./upstream-limits.ts";

/** An HTTP/2 connection whose peer has greeted. */
export interface Http2Connection {
  readonly session: ClientHttp2Session;
  /** Calls on it, and slots that were given out. */
  calls: number;
  /** To be raised by every sign of life of the peer. */
  signs: number;
  /** Takes no more calls; ends after the last one. */
  retired: boolean;
  /** The last stream of ours that the peer has looked at, once it said that it takes no more. */
  readonly lastSeenStream: number | undefined;
  /** What ended the connection, if it has ended. */
  readonly lost: Error | undefined;
  /** Calls at a time that both sides allow. */
  readonly maxCalls: number;
  /** Ends it once it carries no calls. */
  retire(): void;
  destroy(error: Error): void;
}

export interface Http2ConnectionOptions {
  readonly socket: Socket;
  readonly where: string;
  /** Bound on the peer's first frames, in ms. */
  readonly greetingMs: number;
  /** What it means that there was none. */
  readonly onSilence: UnsentCause;
  readonly limits: ResolvedForwarderLimits;
  readonly clock: Clock;
  /** The peer allows another number of calls, or the connection has retired or ended. */
  onChange(): void;
}

/** Bytes on their way to us that nobody has asked for yet: of one stream, and of the connection. */
const streamWindowBytes = 128 * 1024;
const connectionWindowBytes = 4 * 1024 * 1024;
/** With what waits in Node, on both ways. */
const bytesPerStream = streamWindowBytes + 128 * 1024;

/**
 * Speaks HTTP/2 on a connected socket. Resolves when the peer has greeted, so that no call is sent to a peer that may not
 * speak HTTP/2. Rejects with an UnsentError; the socket is destroyed then.
 */
export async function openHttp2Connection(options: Http2ConnectionOptions): Promise<Http2Connection> {
  const { socket, where, greetingMs, onSilence, limits, clock, onChange } = options;
  const ended = new AbortController();
  let lost: Error | undefined;
  let lastSeenStream: number | undefined;

  // Before Node's own listeners: its session would say nothing but CANCEL.
  socket.on("error", (reason) => {
    lost ??= reason;
    socket.destroy();
  });
  socket.once("close", () => {
    lost ??= new Error(`the connection to ${where} was closed`);
    ended.abort(lost);
  });
  if (socket instanceof TLSSocket && socket.alpnProtocol !== "h2") {
    socket.destroy();
    throw new UnsentError("protocol", `${where} does not speak HTTP/2 over TLS`);
  }
  const session = connect("http://upstream.invalid", {
    createConnection: () => socket,
    settings: {
      enablePush: false,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
    // Headers are limited by their bytes, of which each takes at least 32.
    maxHeaderListPairs: Math.ceil(limits.maxHeaderBytes / 32),
    // In MB. Node's 10 are too little for many streams with full windows.
    maxSessionMemory: Math.max(10, Math.ceil((limits.maxStreamsPerSession * bytesPerStream) / 2 ** 20)),
  });
  session.on("error", (reason) => {
    lost ??= reason;
  });

  const connection: Http2Connection = {
    session,
    calls: 0,
    signs: 0,
    retired: false,
    get lastSeenStream() {
      return lastSeenStream;
    },
    get lost() {
      return lost;
    },
    get maxCalls() {
      return Math.min(limits.maxStreamsPerSession, session.remoteSettings.maxConcurrentStreams ?? Infinity);
    },
    retire() {
      if (!connection.retired) {
        connection.retired = true;
        onChange();
      }
      if (connection.calls > 0 || session.destroyed) return;
      session.destroy();
      // Node ends its side only, and a peer may leave the connection half open for ever.
      socket.destroy();
    },
    destroy(error) {
      lost ??= error;
      connection.retired = true;
      session.destroy(error);
      socket.destroy();
    },
  };

  try {
    await within(
      clock,
      greetingMs,
      () => greeting(session),
      () => new UnsentError(onSilence, `no HTTP/2 from ${where} within ${greetingMs} ms`),
    );
  } catch (reason) {
    const error = unsentError("http", where, reason);
    connection.destroy(error);
    throw error;
  }
  session.setLocalWindowSize(connectionWindowBytes);
  session.on("remoteSettings", onChange);
  session.on("goaway", (_code, lastStreamId) => {
    lastSeenStream = lastStreamId;
    connection.retire();
  });
  session.once("close", () => {
    connection.retired = true;
    onChange();
  });
  watchOver(connection, options, ended.signal).catch(() => {}); // the connection has ended
  return connection;
}

/** The peer's SETTINGS, and its word that it has ours: until then Node does not enforce them. */
function greeting(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = 2;
    const onSettings = (): void => {
      left--;
      if (left === 0) resolve();
    };
    session.once("remoteSettings", onSettings);
    session.once("localSettings", onSettings);
    session.once("error", reject);
    session.once("close", () => reject(new Error("the peer closed the connection")));
  });
}

/** Ends a connection that is unused for long, and one with calls whose peer is silent and does not answer a PING. */
async function watchOver(
  connection: Http2Connection,
  options: Http2ConnectionOptions,
  ended: AbortSignal,
): Promise<void> {
  const { where, limits, clock } = options;
  const { pingIntervalMs, pingTimeoutMs, idleTimeoutMs } = limits;
  let unusedMs = 0;
  for (;;) {
    const seen = connection.signs;
    const roundMs = Math.min(pingIntervalMs, idleTimeoutMs);
    await clock.sleep(roundMs, ended);
    const silent = connection.signs === seen;
    unusedMs = silent && connection.calls === 0 ? unusedMs + roundMs : 0;
    if (unusedMs >= idleTimeoutMs) {
      connection.retire();
      return;
    }
    if (!silent || connection.calls === 0) continue;
    try {
      await within(
        clock,
        pingTimeoutMs,
        () => ping(connection.session),
        () => noAnswer(`no answer to a PING from ${where} within ${pingTimeoutMs} ms`),
        ended,
      );
    } catch (reason) {
      connection.destroy(reason instanceof Error ? reason : new Error(String(reason)));
      return;
    }
  }
}

/** As the system says of a connection over which nothing comes. */
function noAnswer(message: string): Error {
  return Object.assign(new Error(message), { code: "ETIMEDOUT" });
}

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error) => (error ? reject(error) : resolve()));
  });
}
