import { lstatSync } from "node:fs";
import type { Clock } from "@cpg/resilience";
import type { RunningPlugin } from "../launch-strategy.ts";
import { abortable } from "./abortable.ts";
import { portAccepts } from "./port-probe.ts";

/** Readiness of one launch, and where the plugin listens. */
export interface Ready {
  readonly endpoint: string;
  readonly readiness: RunningPlugin["readiness"];
}

export interface ReadinessOptions {
  /** Endpoint of an accepted ready line. */
  readonly announced: Promise<string>;
  readonly handshakeSeen: Promise<unknown> | undefined;
  /** Whether to try connections to the port. */
  readonly probePort: boolean;
  readonly port: number;
  readonly socketPath: string | undefined;
  /** Rejects when the process ended. */
  readonly ended: Promise<never>;
  readonly clock: Clock;
  /** Aborts when the launch is given up or took too long. */
  readonly signal: AbortSignal;
}

/**
 * Waits for the first of: the ready line, the plugin's first handshake with the host, an accepted connection to its port.
 * Rejects when the process ends before, and with the reason of `signal`. Leaves no timer, socket or listener.
 */
export async function untilReady(options: ReadinessOptions): Promise<Ready> {
  const { announced, handshakeSeen, probePort, port, socketPath, ended, clock, signal } = options;
  const done = new AbortController();
  const tcp = `http://127.0.0.1:${port}`;

  const ways: Promise<Ready>[] = [announced.then((endpoint) => ({ endpoint, readiness: "ready-line" })), ended];
  if (probePort) {
    const probe = portAccepts(port, clock, done.signal); // rejects only when this is over
    ways.push(probe.then(() => ({ endpoint: tcp, readiness: "port" })));
  }
  if (handshakeSeen !== undefined) {
    const seen = handshakeSeen.then(
      (): Ready => ({
        endpoint: socketPath !== undefined && isSocket(socketPath) ? `unix:${socketPath}` : tcp,
        readiness: "handshake",
      }),
      () => new Promise<never>(() => {}), // nobody watches any more
    );
    ways.push(seen);
  }
  try {
    return await abortable(Promise.race(ways), signal);
  } finally {
    done.abort();
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}
