import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Dialer } from "./dial.ts";

export interface Http1AgentOptions {
  readonly secure: boolean;
  readonly dialer: Dialer;
  /** Sockets at a time. A call beyond them waits for one. */
  readonly maxSockets: number;
  /** Time after which an unused socket closes, in ms. */
  readonly idleTimeoutMs: number;
}

/** Unused sockets that are kept. More calls at a time open more, which close after their call. */
const maxFreeSockets = 32;

export interface Http1Agent {
  readonly agent: HttpAgent;
  /** Calls from now on travel over new sockets. Those in flight keep theirs, which closes after them. */
  renew(): void;
}

/** A keep-alive agent whose sockets come from the dialer, and so have its bounds and end with it. */
export function createHttp1Agent({ secure, dialer, maxSockets, idleTimeoutMs }: Http1AgentOptions): Http1Agent {
  const settings = { keepAlive: true, maxSockets, maxFreeSockets, timeout: idleTimeoutMs, scheduling: "lifo" } as const;
  const agent = secure ? new HttpsAgent(settings) : new HttpAgent(settings);
  let fresh = new WeakSet<object>();
  // Returned at once: sockets handed over later escape the agent's count.
  agent.createConnection = () => {
    const { socket } = dialer.dial();
    fresh.add(socket);
    return socket;
  };
  const keep = agent.keepSocketAlive.bind(agent);
  // Node's own decides about the time-out that the server announced; its result is what the caller goes by.
  agent.keepSocketAlive = (socket) => fresh.has(socket) && keep(socket);
  return {
    agent,
    renew() {
      fresh = new WeakSet();
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    },
  };
}
