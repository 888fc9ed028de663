import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { NodeServerResponse } from "./node-handler.ts";

/** What is open on one listener: connections, HTTP/2 sessions and calls. */
export interface Connections {
  readonly size: number;
  readonly calls: number;
  addSocket(socket: Socket): void;
  addSession(session: ServerHttp2Session, idleTimeoutMs: number): void;
  addCall(response: NodeServerResponse, session: ServerHttp2Session | undefined): void;
  /** From now on a connection closes when its last call has ended; one without calls closes at once. */
  finish(): void;
  /** Resolves when nothing is open any more. */
  empty(): Promise<void>;
  destroy(): void;
}

export function createConnections(closeIdleHttp1: () => void): Connections {
  const sockets = new Set<Socket>();
  const sessions = new Map<ServerHttp2Session, { calls: number }>();
  const responses = new Set<NodeServerResponse>();
  const waiting: (() => void)[] = [];
  let finishing = false;

  const isEmpty = () => sockets.size === 0 && responses.size === 0;
  const tellWaiting = (): void => {
    if (isEmpty()) for (const resolve of waiting.splice(0)) resolve();
  };
  const closeAfter = (response: NodeServerResponse): void => {
    if ("shouldKeepAlive" in response && !response.headersSent) response.shouldKeepAlive = false;
  };

  return {
    get size() {
      return sockets.size;
    },
    get calls() {
      return responses.size;
    },
    addSocket(socket) {
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        tellWaiting();
      });
    },
    addSession(session, idleTimeoutMs) {
      const entry = { calls: 0 };
      sessions.set(session, entry);
      session.once("close", () => sessions.delete(session));
      session.setTimeout(idleTimeoutMs, () => {
        if (entry.calls === 0) session.close();
      });
      if (finishing) session.close();
    },
    addCall(response, session) {
      responses.add(response);
      const entry = session && sessions.get(session);
      if (entry) entry.calls += 1;
      if (finishing) closeAfter(response);
      response.once("close", () => {
        responses.delete(response);
        if (entry) entry.calls -= 1;
        // The socket turns idle only after this event.
        if (finishing) setImmediate(closeIdleHttp1);
        tellWaiting();
      });
    },
    finish() {
      finishing = true;
      for (const response of responses) closeAfter(response);
      for (const session of sessions.keys()) session.close();
      closeIdleHttp1();
    },
    empty: () => (isEmpty() ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    destroy() {
      for (const session of sessions.keys()) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}
