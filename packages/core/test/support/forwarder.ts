import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

export interface ForwarderOptions {
  /** Port of 127.0.0.1 that connections are passed on to. Default: none, they are held and nothing is answered. */
  readonly port?: number;
  /** Connections that begin with this are held instead. */
  readonly hold?: string;
}

/** Passes TCP connections on, and knows which are open. */
export interface Forwarder extends AsyncDisposable {
  readonly endpoint: string;
  /** Connections so far. */
  readonly accepted: number;
  /** Resolves with the first connection that is held. */
  readonly held: Promise<void>;
  /** Resolves when no connection is open. */
  empty(): Promise<void>;
}

export async function openForwarder({ port, hold }: ForwarderOptions = {}): Promise<Forwarder> {
  const open = new Set<Socket>();
  const { promise: held, resolve: tellHeld } = Promise.withResolvers<void>();
  let accepted = 0;
  let onClosed = () => {};
  const server = createServer((socket) => {
    accepted++;
    open.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => {
      open.delete(socket);
      onClosed();
    });
    socket.once("data", (first) => {
      if (port === undefined || (hold !== undefined && first.toString("latin1").startsWith(hold))) {
        socket.resume();
        tellHeld();
        return;
      }
      const onward = createConnection({ port, host: "127.0.0.1" });
      onward.on("error", () => socket.destroy());
      socket.once("close", () => onward.destroy());
      onward.once("close", () => socket.destroy());
      onward.write(first);
      socket.pipe(onward).pipe(socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted;
    },
    held,
    async empty() {
      while (open.size > 0) await new Promise<void>((resolve) => (onClosed = resolve));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
