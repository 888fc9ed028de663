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

/** A keep-alive agent whose sockets come from the dialer, and so have its bounds and end with it. */
export function createHttp1Agent({ secure, dialer, maxSockets, idleTimeoutMs }: Http1AgentOptions): HttpAgent {
  const settings = { keepAlive: true, maxSockets, maxFreeSockets, timeout: idleTimeoutMs, scheduling: "lifo" } as const;
  const agent = secure ? new HttpsAgent(settings) : new HttpAgent(settings);
  // Returned at once: sockets handed over later escape the agent's count.
  agent.createConnection = () => dialer.dial().socket;
  return agent;
}
