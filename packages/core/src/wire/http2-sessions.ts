import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { ConnectError } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { within } from "../internal/bounded.ts";
import { callError, connectionFailed } from "./call-error.ts";
import type { Dialer } from "./dial.ts";
import type { Endpoint } from "./endpoint.ts";
import { rememberReset } from "./stream-reset.ts";

export interface Http2SessionsOptions {
  readonly endpoint: Endpoint;
  /** Origin of the requests' URLs. */
  readonly origin: string;
  readonly dialer: Dialer;
  /** Bound on the socket, and again on the peer's first HTTP/2 frame, in ms. */
  readonly connectTimeoutMs: number;
  /** Silence after which the peer is asked for a sign of life while calls are open, in ms; 0: never. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** Time without a call after which a session closes, in ms. */
  readonly idleTimeoutMs: number;
  /** Hears when the peer ends a session, or says that it is about to, and when a session breaks. */
  readonly onLost?: (() => void) | undefined;
  readonly clock: Clock;
}

/** What connect-node's HTTP/2 client asks for its streams. */
export interface Http2Sessions {
  readonly authority: string;
  request(method: string, path: string, headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream>;
  notifyResponseByteRead(stream: ClientHttp2Stream): void;
  /** Calls from now on travel over a new session. Those in flight finish on theirs. */
  renew(): void;
}

/** A session that the peer has greeted. */
interface Live {
  readonly session: ClientHttp2Session;
  readonly socket: Socket;
  streams: number;
  /** When the peer last gave a sign of life, on the monotonic clock. */
  lastAliveMs: number;
  /** Ends the heartbeat; there is one while streams are open. */
  heartbeat: AbortController | undefined;
  verifying: Promise<boolean> | undefined;
  /** Whether this side has given it up, or it is known to be lost. */
  over: boolean;
}

/** A session may be told to go away between being chosen and being used. */
const maxAttempts = 3;

/**
 * HTTP/2 sessions to one endpoint: one at a time takes new calls, opened by the first call that needs it and shared by
 * all. One that was told to go away, or that `renew` has replaced, finishes its calls beside its successor. While calls are open, a peer that is
 * silent for `pingIntervalMs` has to answer a PING; a session unused for that long is asked before its next call.
 * Differs from connect-node's own manager in that dialing is bounded up to the peer's SETTINGS, so that no call is sent
 * to a peer that may not speak HTTP/2, and in that every loss carries one typed error.
 */
export function createHttp2Sessions(options: Http2SessionsOptions): Http2Sessions {
  const { endpoint, origin, dialer, connectTimeoutMs, pingIntervalMs, pingTimeoutMs, idleTimeoutMs, clock } = options;
  const { onLost = () => {} } = options;
  const lives = new WeakMap<ClientHttp2Session, Live>();
  let current: Live | undefined;
  let opening: Promise<Live> | undefined;
  let generation = 0;

  const open = async (): Promise<Live> => {
    const begunIn = generation;
    const { socket, ready } = dialer.dial();
    // These come before Node's own listeners, so the session ends with our error instead of a bare CANCEL.
    let session: ClientHttp2Session | undefined;
    let lost: Error | undefined;
    socket.on("error", (reason) => {
      lost = callError(endpoint, reason);
      session?.destroy(lost);
      // After a TLS alert, such as for a certificate that the server does not take, Node leaves it open.
      socket.destroy();
    });
    socket.once("close", () => session?.destroy(lost ?? connectionFailed(endpoint, "call", "the peer closed it")));
    try {
      await ready;
      checkAlpn(endpoint, socket);
      session = connect(origin, { createConnection: () => socket, settings: { enablePush: false } });
      const greeted = greeting(endpoint, session);
      await within(
        clock,
        connectTimeoutMs,
        () => greeted,
        () => connectionFailed(endpoint, "http", `the peer sent nothing within ${connectTimeoutMs} ms`),
      );
      const live = adopt(session, socket);
      if (begunIn === generation) current = live;
      return live;
    } catch (reason) {
      const error = callError(endpoint, reason);
      session?.destroy(error);
      socket.destroy();
      throw error;
    }
  };

  const adopt = (session: ClientHttp2Session, socket: Socket): Live => {
    const live: Live = {
      session,
      socket,
      streams: 0,
      lastAliveMs: clock.monotonic(),
      heartbeat: undefined,
      verifying: undefined,
      over: false,
    };
    lives.set(session, live);
    session.unref(); // until it has calls
    // The socket's, because Node keeps a session for as long as its own timer would have run.
    socket.setTimeout(idleTimeoutMs).on("timeout", () => leave(live));
    session.on("goaway", () => lose(live));
    session.once("close", () => lose(live));
    return live;
  };

  const leave = (live: Live): void => {
    live.over = true;
    retire(live);
  };

  const lose = (live: Live): void => {
    if (!live.over) {
      live.over = true;
      onLost();
    }
    retire(live);
  };

  const retire = (live: Live): void => {
    if (current === live) current = undefined;
    if (live.streams > 0) return;
    live.heartbeat?.abort();
    live.session.destroy();
    // Node ends its side only, and a peer may leave the connection half open for ever.
    live.socket.destroy();
  };

  const acquire = async (): Promise<Live> => {
    const live = current;
    if (live !== undefined && isUsable(live)) {
      const unused = live.streams === 0 && clock.monotonic() - live.lastAliveMs > pingIntervalMs;
      if (!unused || pingIntervalMs === 0) return live;
      live.verifying ??= answersPing(live).finally(() => {
        live.verifying = undefined;
      });
      if ((await live.verifying) && isUsable(live)) return live;
    }
    if (opening === undefined) {
      const attempt = open().finally(() => {
        if (opening === attempt) opening = undefined;
      });
      opening = attempt;
    }
    return opening;
  };

  /** Whether the peer answered. If it did not, the session and its streams have ended. */
  const answersPing = async ({ session }: Live): Promise<boolean> => {
    const silence = () => connectionFailed(endpoint, "call", `no answer to a PING within ${pingTimeoutMs} ms`);
    try {
      await within(clock, pingTimeoutMs, () => ping(session), silence);
      const live = lives.get(session);
      if (live) live.lastAliveMs = clock.monotonic();
      return true;
    } catch (reason) {
      session.destroy(callError(endpoint, reason));
      return false;
    }
  };

  const beat = async (live: Live, signal: AbortSignal): Promise<void> => {
    for (;;) {
      const silentMs = clock.monotonic() - live.lastAliveMs;
      if (silentMs < pingIntervalMs) await clock.sleep(pingIntervalMs - silentMs, signal);
      else if (!(await answersPing(live))) return;
      if (signal.aborted) return;
    }
  };

  const track = (live: Live, stream: ClientHttp2Stream): void => {
    rememberReset(stream);
    live.streams++;
    if (live.streams === 1) {
      live.session.ref();
      live.socket.setTimeout(0);
      if (pingIntervalMs > 0) {
        // Silence while nobody called says nothing.
        live.lastAliveMs = clock.monotonic();
        live.heartbeat = new AbortController();
        beat(live, live.heartbeat.signal).catch(() => {}); // stopped
      }
    }
    let answered = false;
    stream.once("response", () => {
      answered = true;
      live.lastAliveMs = clock.monotonic();
    });
    // A server may answer in full before it has read the request; Connect then writes no more and leaves the stream open.
    stream.once("end", () => {
      if (!stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    stream.once("close", () => {
      // A server that ends its session may leave a stream without an answer and without an error: its call would wait for ever.
      if (!answered && stream.errored === null && stream.rstCode === constants.NGHTTP2_NO_ERROR) {
        stream.emit("error", connectionFailed(endpoint, "call", "the peer ended it without an answer"));
      }
      live.streams--;
      if (live.streams > 0) return;
      live.heartbeat?.abort();
      live.heartbeat = undefined;
      live.session.unref();
      live.socket.setTimeout(idleTimeoutMs);
      // Node keeps a session that was told to go away even after its last stream.
      if (current !== live || !isUsable(live)) retire(live);
    });
  };

  return {
    authority: origin,
    async request(method, path, headers) {
      for (let attempt = 1; ; attempt++) {
        const live = await acquire();
        // It may have ended in the meantime; some versions of Node tell only through the stream, others throw.
        if (!isUsable(live)) {
          if (attempt === maxAttempts) throw connectionFailed(endpoint, "http", "it ended before the call was sent");
          retire(live);
          continue;
        }
        try {
          const stream = live.session.request({ ...headers, ":method": method, ":path": path });
          track(live, stream);
          return stream;
        } catch (reason) {
          if (isUsable(live) || attempt === maxAttempts) throw callError(endpoint, reason);
          retire(live);
        }
      }
    },
    notifyResponseByteRead(stream) {
      const live = stream.session && lives.get(stream.session as ClientHttp2Session);
      if (live) live.lastAliveMs = clock.monotonic();
    },
    renew() {
      generation++;
      opening = undefined;
      if (current !== undefined) leave(current);
    },
  };
}

function isUsable({ session }: Live): boolean {
  return !session.closed && !session.destroyed;
}

function checkAlpn(endpoint: Endpoint, socket: Socket): void {
  if (socket instanceof TLSSocket && socket.alpnProtocol !== "h2") {
    throw connectionFailed(endpoint, "http", "the server does not offer HTTP/2");
  }
}

/** The peer's SETTINGS, the first frame it has to send. Leaves the session with a listener for errors, always. */
function greeting(endpoint: Endpoint, session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.once("remoteSettings", () => resolve());
    session.on("error", (reason) => {
      const typed = reason instanceof ConnectError;
      reject(typed ? reason : connectionFailed(endpoint, "http", "the peer does not speak HTTP/2", reason));
    });
    session.once("close", () => reject(connectionFailed(endpoint, "http", "the peer closed the connection")));
  });
}

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error) => (error ? reject(error) : resolve()));
  });
}
