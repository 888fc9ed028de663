import { chmod, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";

/** Where to listen: a TCP port, 0 for any free one, on `host` (default 127.0.0.1); or a Unix socket. */
export type ListenAddress =
  | { readonly port: number; readonly host?: string | undefined }
  /** `mode`: permissions of the socket file. Default 0o600: only the same user can connect. */
  | { readonly socketPath: string; readonly mode?: number | undefined };

export type BoundAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly secure: boolean }
  | { readonly kind: "unix"; readonly path: string };

/** Longest path of a Unix socket on every supported system. */
const maxSocketPathBytes = 103;

/** @throws {TypeError} {RangeError} naming the field. */
export function checkListenAddress(address: ListenAddress): void {
  if ("socketPath" in address) {
    const { socketPath } = address;
    const bytes = Buffer.byteLength(socketPath);
    if (!socketPath.startsWith("/")) throw new TypeError("socketPath must be absolute");
    if (socketPath.includes("\0")) throw new TypeError("socketPath must not contain NUL");
    if (bytes > maxSocketPathBytes) {
      throw new RangeError(`socketPath must have at most ${maxSocketPathBytes} bytes, has ${bytes}`);
    }
    return;
  }
  const { port, host } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be a whole number from 0 to 65535, got ${port}`);
  }
  if (host === "") throw new TypeError("host must not be empty: name an address, such as 0.0.0.0 for all of IPv4");
}

/**
 * Makes a server listen. The socket file of a server that is gone is replaced.
 * @throws {Error} of Node, with its `code`, when the address is taken or not allowed.
 */
export async function listenOn(server: Server, address: ListenAddress, secure: boolean): Promise<BoundAddress> {
  if ("socketPath" in address) {
    const { socketPath, mode = 0o600 } = address;
    try {
      await bind(server, { path: socketPath });
    } catch (error) {
      if (!isAddressInUse(error) || (await isAlive(socketPath))) throw error;
      await unlink(socketPath);
      await bind(server, { path: socketPath });
    }
    await chmod(socketPath, mode);
    return { kind: "unix", path: socketPath };
  }
  const { port, host = "127.0.0.1" } = address;
  await bind(server, { port, host });
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("the server has no TCP address");
  return { kind: "tcp", host, port: bound.port, secure };
}

/** What a client takes. An address that means all interfaces is reached through loopback. */
export function endpointOf(address: BoundAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { host, port, secure } = address;
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `${secure ? "https" : "http"}://${name}:${port}`;
}

function bind(server: Server, options: { path: string } | { port: number; host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      server.off("listening", onListening);
      reject(error);
    };
    const onListening = () => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen(options);
  });
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

/** Whether somebody accepts connections on a socket file. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(!("code" in error && error.code === "ECONNREFUSED")));
  });
}
