import type { ServerHttp2Session } from "node:http2";
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
 * | http2   | retire, no call in flight  | closed | GOAWAY                                                           |
 * | http2   | retire, calls in flight    | http2  | GOAWAY; closed after the last call                               |
 * | any     | cut, or the socket closes  | closed | its calls have ended                                             |
 */
export interface Connection {
  /** Requests that were not answered to the end yet. */
  readonly inFlight: number;
  /** When the last of them ended, by the clock's monotonic time; undefined while there are any. */
  readonly idleSinceMs: number | undefined;
  /** A request came; to be called before it is handled. */
  begin(response: NodeServerResponse): void;
  /** The response of that request was sent, or will never be. */
  end(response: NodeServerResponse): void;
  /** An answer is on its way on this HTTP/1 connection. */
  readonly answering: boolean;
  /** `socket` is the one that encrypts, if any does. */
  useHttp1(socket: Socket): void;
  useHttp2(session: ServerHttp2Session): void;
  /** Lets calls in flight finish, then closes the connection. */
  retire(): void;
  /** Ends the connection with all its calls. */
  cut(): void;
}

type State =
  | { readonly kind: "opening" }
  | { readonly kind: "http1"; readonly socket: Socket }
  | { readonly kind: "http2"; readonly session: ServerHttp2Session }
  | { readonly kind: "closed" };

export interface ConnectionEvents {
  onBegin(): void;
  /** `count` calls ended: one, or all that were left when the connection closed. */
  onEnd(count: number): void;
  onClosed(): void;
}

/** `socket` is the one that was accepted. */
export function createConnection(socket: Socket, clock: Clock, events: ConnectionEvents): Connection {
  let state: State = { kind: "opening" };
  let idleSinceMs = clock.monotonic();
  let retired = false;
  const open = new Set<NodeServerResponse>();

  const askToClose = (response: NodeServerResponse) => {
    if (!response.headersSent) response.setHeader("connection", "close");
  };
  const retireIfIdle = () => {
    if (retired && state.kind === "http1" && open.size === 0) state.socket.destroySoon();
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
      events.onBegin();
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
      if (retired) return;
      retired = true;
      if (state.kind === "opening") {
        socket.destroy();
      } else if (state.kind === "http1") {
        open.forEach(askToClose);
        retireIfIdle();
      } else if (state.kind === "http2") {
        // A call that the peer sent before it saw the GOAWAY is refused as not processed: it may safely try again.
        state.session.close();
      }
    },
    cut() {
      if (state.kind === "http2") {
        state.session.destroy();
        // One turn later the session's last frame has been written.
        setImmediate(() => socket.destroy());
      } else {
        socket.destroy();
      }
    },
  };

  socket.once("close", () => {
    state = { kind: "closed" };
    const left = open.size;
    open.clear();
    if (left > 0) events.onEnd(left);
    events.onClosed();
  });
  return connection;
}
