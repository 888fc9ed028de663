import { Agent } from "node:http";
import type { Clock } from "@cpg/resilience";
import type { SocketUpstream } from "../forward/forwarder.ts";
import type { Dialer } from "./dialer.ts";
import { openHttp1Call } from "./http1-call.ts";
import { createSlotQueue } from "./slot-queue.ts";
import { UnsentError } from "./unsent-error.ts";
import type { ResolvedForwarderLimits } from "./upstream-limits.ts";
import type { UpstreamConnections, UpstreamSlot } from "./upstream-stream.ts";

export interface Http1ConnectionsOptions {
  readonly upstream: SocketUpstream;
  readonly dialer: Dialer;
  readonly limits: ResolvedForwarderLimits;
  readonly clock: Clock;
  /** A call ended without an answer. */
  onUnanswered(): void;
}

/** HTTP/1.1 connections to one provider, each with a call at a time; calls beyond their number wait for one. */
export function createHttp1Connections(options: Http1ConnectionsOptions): UpstreamConnections {
  const { upstream, dialer, limits, clock, onUnanswered } = options;
  const { maxSockets, idleTimeoutMs, maxHeaderBytes, connectTimeoutMs } = limits;
  const queue = createSlotQueue<UpstreamSlot>({
    clock,
    timeoutMs: connectTimeoutMs,
    onTimeout: () => new UnsentError("busy", `no free connection to ${dialer.where} within ${connectTimeoutMs} ms`),
  });
  const agent = new Agent({ keepAlive: true, timeout: idleTimeoutMs, scheduling: "lifo" });
  let used = 0;
  let retired = false;
  let closed: Error | undefined;

  // With the callback, because no call is sent before there is a connection: a failed one proves that.
  agent.createConnection = (_options, tell) => {
    dialer.dial(["http/1.1"]).then(
      (socket) => tell?.(null, socket),
      // Node takes no socket together with an error, whatever its types say.
      (reason: Error) => Reflect.apply(tell ?? ignore, undefined, [reason]),
    );
    return undefined;
  };
  const keep = agent.keepSocketAlive.bind(agent);
  // Node's own decides about the time-out that the server announced; its result is what the caller goes by.
  agent.keepSocketAlive = (socket) => !retired && keep(socket);

  const takeSlot = (): UpstreamSlot => {
    used++;
    let held = true;
    const giveBack = (): void => {
      if (!held) return;
      held = false;
      used--;
      if (queue.length > 0 && used < maxSockets) queue.give(takeSlot());
    };
    const target = { agent, authority: upstream.authority, maxHeaderBytes };
    return {
      open(request, events) {
        return openHttp1Call(target, request, { events, onGone: giveBack, onUnanswered });
      },
      giveBack,
    };
  };

  return {
    acquire() {
      if (closed !== undefined) return Promise.reject(new UnsentError("closed", closed.message));
      return used < maxSockets && queue.length === 0 ? takeSlot() : queue.wait();
    },
    get inUse() {
      return used + queue.length;
    },
    retire() {
      retired = true;
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    },
    close(error) {
      closed = error;
      queue.fail(new UnsentError("closed", error.message));
    },
  };
}

function ignore(): void {}
