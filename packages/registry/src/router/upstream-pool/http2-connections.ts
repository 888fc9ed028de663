import type { Clock } from "@cpg/resilience";
import type { SocketUpstream } from "../forward/forwarder.ts";
import type { Dialer } from "./dialer.ts";
import { type Http2Connection, openHttp2Connection } from "./http2-connection.ts";
import { type Http2Target, openHttp2Stream } from "./http2-stream.ts";
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

interface PooledConnection {
  readonly connection: Http2Connection;
  /** All its calls share this one: it holds nothing. */
  readonly slot: UpstreamSlot;
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
  const connections: PooledConnection[] = [];
  const greetingMs = unsure ? Math.min(unsureGreetingMs, connectTimeoutMs) : connectTimeoutMs;
  const queue = createSlotQueue<UpstreamSlot>({
    clock,
    timeoutMs: connectTimeoutMs + greetingMs,
    onTimeout: () => new UnsentError("busy", `no free connection to ${dialer.where}`),
  });
  let opening = false;
  let closed: Error | undefined;
  let retired = false;

  const withRoom = (): PooledConnection | undefined => {
    return connections.find(({ connection }) => {
      const { session, retired: leaving, calls, maxCalls } = connection;
      return !leaving && calls < maxCalls && !session.closed && !session.destroyed;
    });
  };
  const forget = (): void => {
    for (let index = connections.length - 1; index >= 0; index--) {
      if (connections[index]?.connection.session.destroyed) connections.splice(index, 1);
    }
  };
  const onChange = (): void => {
    forget();
    serve();
  };

  const giveBack = (connection: Http2Connection): void => {
    connection.calls--;
    if (connection.retired) connection.retire();
    else if (queue.length > 0) serve();
  };
  const target: Http2Target = {
    scheme: upstream.kind === "http" && upstream.secure ? "https" : "http",
    authority: upstream.authority,
    onGone: giveBack,
  };
  const pooled = (connection: Http2Connection): PooledConnection => ({
    connection,
    slot: {
      open: (request, events) => openHttp2Stream(connection, target, request, events),
      giveBack: () => giveBack(connection),
    },
  });
  const takeSlot = ({ connection, slot }: PooledConnection): UpstreamSlot => {
    connection.calls++;
    return slot;
  };

  /** Gives room to those who wait, and opens a connection if that is not enough. */
  const serve = (): void => {
    while (queue.length > 0) {
      const free = withRoom();
      if (free === undefined) break;
      queue.give(takeSlot(free));
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
      connections.push(pooled(connection));
      opening = false;
      serve();
      if (retired) connection.retire();
    } catch (reason) {
      opening = false;
      // Those who wait may still get room on a connection that is there.
      if (connections.every(({ connection }) => connection.retired)) queue.fail(reason);
    }
  };

  return {
    acquire() {
      if (closed !== undefined) return Promise.reject(new UnsentError("closed", closed.message));
      const free = queue.length === 0 ? withRoom() : undefined;
      if (free !== undefined) return takeSlot(free);
      const slot = queue.wait();
      serve();
      return slot;
    },
    get inUse() {
      return queue.length + connections.reduce((calls, { connection }) => calls + connection.calls, opening ? 1 : 0);
    },
    retire() {
      retired = true;
      for (const { connection } of [...connections]) connection.retire();
    },
    close(error) {
      closed = error;
      queue.fail(new UnsentError("closed", error.message));
      for (const { connection } of [...connections]) connection.destroy(error);
    },
  };
}
