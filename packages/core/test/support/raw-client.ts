import { connect as connectSocket, type Socket } from "node:net";
import type { BoundAddress } from "../../src/listener/listener.ts";

/** A client that sends what it is told, byte by byte if need be. */
export interface RawClient extends Disposable {
  readonly socket: Socket;
  write(bytes: string | Uint8Array): void;
  /** Resolves when the server has sent this text; rejects when the connection ends before. */
  until(text: string): Promise<void>;
  /** Resolves when the connection is closed, with all that the server sent. A reset counts as closed. */
  readonly closed: Promise<string>;
}

/** Resolves when the connection is made, which does not mean that the server accepted it. */
export async function connectRaw(address: BoundAddress): Promise<RawClient> {
  const socket = address.kind === "unix" ? connectSocket(address.path) : connectSocket(address.port, address.host);
  let received = "";
  let waiting: { readonly text: string; resolve(): void; reject(error: Error): void }[] = [];
  const closed = Promise.withResolvers<string>();
  const tellWaiting = () => {
    for (const { text, resolve } of waiting) if (received.includes(text)) resolve();
    waiting = waiting.filter(({ text }) => !received.includes(text));
  };
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    tellWaiting();
  });
  socket.on("error", () => {}); // tests look at the end of the connection
  socket.on("close", () => {
    for (const { text, reject } of waiting) reject(new Error(`closed before ${text}, after: ${received}`));
    closed.resolve(received);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    until: (text) =>
      new Promise((resolve, reject) => {
        waiting.push({ text, resolve, reject });
        tellWaiting();
        if (socket.destroyed) reject(new Error(`closed before ${text}, after: ${received}`));
      }),
    closed: closed.promise,
    [Symbol.dispose]: () => socket.destroy(),
  };
}
