import type { Clock } from "@cpg/resilience";
import type { SocketUpstream } from "../forward/forwarder.ts";
import type { Dialer } from "./dialer.ts";
import { type Http2Connection, openHttp2Connection } from "./http2-connection.ts";
import { openHttp2Stream } from "./http2-stream.ts";
import { createSlotQueue } from "./slot-queue.ts";
import { UnsentError } from "./unsent-error.ts";
import type { ResolvedForwarderLimits } from "./upstream-limits.ts";
import type { UpstreamConnections, UpstreamSlot } from "./upstream-stream.ts";

export interface Http2ConnectionsOptions {
  readonly upstream: SocketUpstream;
  readonly dialer: Dialer;
  /** The peer may speak HTTP/1.1 only: one that does not greet in a short time is taken to. */
  readonly unsure: boolean;
  readonly limits: ResolvedForwarderLimits;
  readonly clock: Clock;
}

/** Time for the first frame of a peer that may not speak HTTP/2 at all. */
const unsureGreetingMs = 2_000;

/**
 * HTTP/2 connections to one provider. The first that has room takes a call; when none has, one more is opened, one at a
 * time, and calls wait for it in the order in which they came.
 */
export function createHttp2Connections(options: Http2ConnectionsOptions): UpstreamConnections {
  const { upstream, dialer, unsure, limits, clock } = options;
  const { connectTimeoutMs, maxSessions } = limits;
  const target = {
    scheme: upstream.kind === "http" && upstream.secure ? "https" : "http",
    authority: upstream.authority,
  };
  const connections: Http2Connection[] = [];
  const greetingMs = unsure ? Math.min(unsureGreetingMs, connectTimeoutMs) : connectTimeoutMs;
  const queue = createSlotQueue<UpstreamSlot>({
    clock,
    timeoutMs: connectTimeoutMs + greetingMs,
    onTimeout: () => new UnsentError("busy", `no free connection to ${dialer.where}`),
  });
  let opening = false;
  let closed: Error | undefined;
  let retired = false;

  const withRoom = (): Http2Connection | undefined => {
    for (const connection of connections) {
      const { session, calls } = connection;
      if (!connection.retired && calls < connection.maxCalls && !session.closed && !session.destroyed)
        return connection;
    }
    return undefined;
  };
  const forget = (): void => {
    for (let index = connections.length - 1; index >= 0; index--) {
      if (connections[index]?.session.destroyed) connections.splice(index, 1);
    }
  };
  const onChange = (): void => {
    forget();
    serve();
  };

  const takeSlot = (connection: Http2Connection): UpstreamSlot => {
    connection.calls++;
    let held = true;
    const giveBack = (): void => {
      if (!held) return;
      held = false;
      connection.calls--;
      if (connection.retired) connection.retire();
      else if (queue.length > 0) serve();
    };
    return {
      open(request, events) {
        return openHttp2Stream(connection, request, target, { events, onGone: giveBack });
      },
      giveBack,
    };
  };

  /** Gives room to those who wait, and opens a connection if that is not enough. */
  const serve = (): void => {
    while (queue.length > 0) {
      const connection = withRoom();
      if (connection === undefined) break;
      queue.give(takeSlot(connection));
    }
    if (queue.length > 0 && !opening && closed === undefined && connections.length < maxSessions) void open();
  };

  const open = async (): Promise<void> => {
    opening = true;
    try {
      const socket = await dialer.dial(unsure ? ["h2", "http/1.1"] : ["h2"]);
      const onSilence = unsure ? "protocol" : "timeout";
      const settings = { socket, where: dialer.where, greetingMs, onSilence, limits, clock, onChange } as const;
      const connection = await openHttp2Connection(settings);
      connections.push(connection);
      if (retired) connection.retire();
      opening = false;
    } catch (reason) {
      opening = false;
      // Those who wait may still get room on a connection that is there.
      if (connections.every((connection) => connection.retired)) queue.fail(reason);
    }
    serve();
  };

  return {
    acquire() {
      if (closed !== undefined) return Promise.reject(new UnsentError("closed", closed.message));
      const connection = queue.length === 0 ? withRoom() : undefined;
      if (connection !== undefined) return takeSlot(connection);
      const slot = queue.wait();
      serve();
      return slot;
    },
    get inUse() {
      return queue.length + connections.reduce((calls, connection) => calls + connection.calls, opening ? 1 : 0);
    },
    retire() {
      retired = true;
      for (const connection of [...connections]) connection.retire();
    },
    close(error) {
      closed = error;
      queue.fail(new UnsentError("closed", error.message));
      for (const connection of [...connections]) connection.destroy(error);
    },
  };
}
