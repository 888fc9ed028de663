import { MessagePort, workerData } from "node:worker_threads";
import { Code, ConnectError } from "@connectrpc/connect";
import type { MemoryServer } from "../memory/memory-server.ts";
import { type Frame, PORT_PROTOCOL_VERSION } from "./frame.ts";
import { createPortLink, type PortLink } from "./port-link.ts";
import { type ServedCall, serveCall } from "./served-call.ts";

/** What the host that launched this thread has handed over. */
export interface LaunchPort {
  readonly port: MessagePort;
  /** How the host names the plugin, such as "worker:kv". */
  readonly endpoint: string;
}

/** Key of `workerData`. The library of the plugin may be another copy than that of the host, or another version. */
const launchKey = "@cpg/core launch";

/** What a launcher puts into `workerData`; the port has to be transferred. */
export function launchData(port: MessagePort, endpoint: string): Record<string, unknown> {
  return { [launchKey]: { version: PORT_PROTOCOL_VERSION, port, endpoint } };
}

/**
 * The port of the host that launched this thread: for the first who asks, as only one server can use it. Undefined in a
 * thread that nobody launched as a plugin.
 * @throws {ConnectError} `failed_precondition` when the host speaks another version.
 */
export function takeLaunchPort(data: unknown = workerData): LaunchPort | undefined {
  if (typeof data !== "object" || data === null || !(launchKey in data)) return undefined;
  const launch = data[launchKey];
  delete data[launchKey];
  const { version, port, endpoint } = (launch ?? {}) as Partial<Record<"version" | "port" | "endpoint", unknown>>;
  if (version !== PORT_PROTOCOL_VERSION || !(port instanceof MessagePort) || typeof endpoint !== "string") {
    throw new ConnectError(
      `the host speaks version ${String(version)} of the protocol for worker threads, and this plugin version ` +
        `${PORT_PROTOCOL_VERSION}: use versions of @cpg/core on both sides that fit`,
      Code.FailedPrecondition,
    );
  }
  return { port, endpoint };
}

export interface ServePortOptions {
  /** Hears why the port was closed, if the host has broken the protocol. Default: nobody does. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** A server's side of the port to its host. */
export interface PortServer {
  /** Calls that have not been answered. */
  readonly inFlight: number;
  /** Resolves when the port has closed, whichever side closed it. */
  readonly closed: Promise<void>;
  /** Tells the host that calls may come. */
  ready(): void;
  /**
   * Closes the server, at once, and then the port, which kept this thread alive; what has been answered arrives before.
   * A server that has drained has nothing left to cut. Idempotent.
   */
  close(): Promise<void>;
}

/** Largest limit of a transport: sizes are the affair of the server and of the host. */
const maxMessageBytes = 2 ** 32 - 1;

/** Answers the calls that come through a port, by a server of this thread, which may hand over by reference. */
export function servePort({ port }: LaunchPort, server: MemoryServer, options: ServePortOptions = {}): PortServer {
  const transport = server.connect({ callTimeoutMs: 0, maxMessageBytes });
  const calls = new Map<number, ServedCall>();
  const { promise: closed, resolve: tellClosed } = Promise.withResolvers<void>();
  const hostGone = new ConnectError("the host has gone", Code.Canceled);

  const open = (call: Extract<Frame, { kind: "open" }>): void => {
    if (calls.has(call.id)) throw new TypeError("a call has the id of another");
    const served = serveCall({
      call,
      method: server.method(call.path),
      transport,
      send: link.send,
      onOver: () => calls.delete(call.id),
    });
    calls.set(call.id, served);
  };
  const link: PortLink = createPortLink(port, {
    onFrame(frame) {
      if (frame.kind === "ready") throw new TypeError("a host does not send ready");
      if (frame.kind === "open") open(frame);
      else calls.get(frame.id)?.onFrame(frame); // it may have been answered meanwhile
    },
    onEnd(reason) {
      for (const call of calls.values()) call.cancel(hostGone);
      if (reason !== undefined) options.onError?.(reason);
      tellClosed();
    },
  });

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await server.drain(0);
    while (calls.size > 0) {
      const left = [...calls.values()];
      for (const call of left) call.release();
      await Promise.all(left.map(({ done }) => done));
    }
    link.close();
    await closed;
  };
  return {
    get inFlight() {
      return calls.size;
    },
    closed,
    ready: () => link.send.ready(),
    close() {
      closing ??= close();
      return closing;
    },
  };
}
