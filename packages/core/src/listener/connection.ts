import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "@cpg/resilience";
import type { NodeServerResponse } from "./node-handler.ts";

/**
 * One accepted connection.
 *
 * | state   | event                      | next   | effect                                                           |
 * |---------|----------------------------|--------|------------------------------------------------------------------|
 * | opening | HTTP version known         | http1, http2 |                                                            |
 * | opening | retire, deadline           | closed | cut                                                              |
 * | http1   | retire, no call in flight  | closed | ended                                                            |
 * | http1   | retire, calls in flight    | http1  | answers say "Connection: close"; ended after the last one        |
 * | http1   | replace                    | http1  | the next answer says "Connection: close"; ended after it         |
 * | http2   | retire, no call in flight  | closed | GOAWAY                                                           |
 * | http2   | retire, calls in flight; replace | http2 | GOAWAY that still takes calls, and a PING                   |
 * | http2   | its answer, or `goodbyeMs` | http2  | GOAWAY; closed after the last call                               |
 * | any     | cut, or the socket closes  | closed | its calls have ended                                             |
 *
 * A peer that reads the first GOAWAY sends no more calls, and what it had sent before its answer to the PING has arrived:
 * none is refused, https://www.rfc-editor.org/rfc/rfc9113#section-6.8. Node's client does not answer while it has no call,
 * so a server that ends does not ask it; a call that is just on its way is refused as not processed, and may be sent again.
 */
export interface Connection {
  /** Requests that were not answered to the end yet. */
  readonly inFlight: number;
  /** When the last of them ended, by the clock's monotonic time; undefined while there are any. */
  readonly idleSinceMs: number | undefined;
  /** A request came; to be called before it is handled. */
  begin(response: OpenResponse): void;
  /** The response of that request was sent, or will never be. */
  end(response: OpenResponse): void;
  /** An answer is on its way on this HTTP/1 connection. */
  readonly answering: boolean;
  /** `socket` is the one that encrypts, if any does. */
  useHttp1(socket: Socket): void;
  useHttp2(session: ServerHttp2Session): void;
  /** Lets calls in flight finish, then closes the connection. */
  retire(): void;
  /** As `retire`, but an HTTP/1 connection without a call in flight stays for one more: its peer may be sending it. */
  replace(): void;
  /** Ends the connection with all its calls. */
  cut(): void;
}

/** What answers a request; of HTTP/2 it may be the bare stream. */
export type OpenResponse = NodeServerResponse | ServerHttp2Stream;

type State =
  | { readonly kind: "opening" }
  | { readonly kind: "http1"; readonly socket: Socket }
  | { readonly kind: "http2"; readonly session: ServerHttp2Session }
  | { readonly kind: "closed" };

export interface ConnectionOptions {
  readonly clock: Clock;
  /** With this one it is replaced. 0: no limit. */
  readonly maxRequests: number;
}

export interface ConnectionEvents {
  onBegin(): void;
  /** `count` calls ended: one, or all that were left when the connection closed. */
  onEnd(count: number): void;
  onClosed(): void;
}

/** Identifies no stream that exists: a GOAWAY with it refuses none. */
const everyStream = 2 ** 31 - 1;
/** Time for the peer's answer to the good-bye. */
const goodbyeMs = 1_000;

/** `socket` is the one that was accepted. */
export function createConnection(socket: Socket, options: ConnectionOptions, events: ConnectionEvents): Connection {
  const { clock, maxRequests } = options;
  let state: State = { kind: "opening" };
  const ended = new AbortController();
  let idleSinceMs = clock.monotonic();
  let retired = false;
  let requests = 0;
  let lastCallGranted = false;
  const open = new Set<OpenResponse>();

  const askToClose = (response: OpenResponse) => {
    if (!response.headersSent && "setHeader" in response) response.setHeader("connection", "close");
  };
  const retireIfIdle = () => {
    if (retired && !lastCallGranted && state.kind === "http1" && open.size === 0) state.socket.destroySoon();
  };
  const sayGoodbye = (session: ServerHttp2Session) => {
    if (session.closed || session.destroyed) return;
    session.goaway(constants.NGHTTP2_NO_ERROR, everyStream);
    session.ping(() => refuseMore(session));
    clock.sleep(goodbyeMs, ended.signal).then(
      () => refuseMore(session),
      () => {}, // the connection has ended
    );
  };

  const connection: Connection = {
    get inFlight() {
      return open.size;
    },
    get idleSinceMs() {
      return open.size === 0 ? idleSinceMs : undefined;
    },
    get answering() {
      for (const response of open) if (response.headersSent) return true;
      return false;
    },
    begin(response) {
      open.add(response);
      lastCallGranted = false;
      requests++;
      events.onBegin();
      if (requests === maxRequests) connection.replace();
      if (retired && state.kind === "http1") askToClose(response);
    },
    end(response) {
      if (!open.delete(response)) return;
      if (open.size === 0) idleSinceMs = clock.monotonic();
      retireIfIdle();
      events.onEnd(1);
    },
    useHttp1(http1Socket) {
      state = { kind: "http1", socket: http1Socket };
    },
    useHttp2(session) {
      state = { kind: "http2", session };
    },
    retire() {
      lastCallGranted = false;
      if (retired) {
        retireIfIdle();
        if (state.kind === "http2" && open.size === 0) refuseMore(state.session);
        return;
      }
      retired = true;
      if (state.kind === "opening") {
        socket.destroy();
      } else if (state.kind === "http1") {
        open.forEach(askToClose);
        retireIfIdle();
      } else if (state.kind === "http2") {
        if (open.size === 0) refuseMore(state.session);
        else sayGoodbye(state.session);
      }
    },
    replace() {
      if (retired || state.kind === "opening" || state.kind === "closed") return;
      retired = true;
      if (state.kind === "http1") {
        open.forEach(askToClose);
        lastCallGranted = open.size === 0;
      } else {
        sayGoodbye(state.session);
      }
    },
    cut() {
      // Not the session of HTTP/2: it would reset its streams with NO_ERROR, which tells their callers nothing.
      socket.destroy();
    },
  };

  socket.once("close", () => {
    ended.abort("the connection has ended");
    state = { kind: "closed" };
    const left = open.size;
    open.clear();
    if (left > 0) events.onEnd(left);
    events.onClosed();
  });
  return connection;
}

function refuseMore(session: ServerHttp2Session): void {
  if (!session.closed && !session.destroyed) session.close();
}
