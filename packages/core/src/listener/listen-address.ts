import { isIPv6 } from "node:net";
import { isAbsolute } from "node:path";

/** Where to listen. */
export type ListenAddress =
  | {
      /** 0: any free port. */
      readonly port: number;
      /** Name or IP address of a local interface. Default "127.0.0.1": only this machine can connect. */
      readonly host?: string | undefined;
    }
  | {
      /** Absolute path of a Unix socket. Its directory is made, for its owner only, if there is none. */
      readonly socketPath: string;
      /** Permissions of the socket file. Default 0o600: only processes of the same user can connect. */
      readonly mode?: number | undefined;
    };

/** Where a listener listens. */
export type BoundAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly secure: boolean }
  | { readonly kind: "unix"; readonly path: string };

/** Longest path of a Unix socket on every supported system. */
const maxSocketPathBytes = 103;

export interface ResolvedListenAddress {
  /** The port may still be 0. */
  readonly address: BoundAddress;
  /** Permissions of a socket file. */
  readonly mode: number;
}

/** @throws {TypeError} {RangeError} naming the option. */
export function resolveListenAddress(address: ListenAddress, secure: boolean): ResolvedListenAddress {
  if ("socketPath" in address) {
    const { socketPath: path, mode = 0o600 } = address;
    const bytes = Buffer.byteLength(path);
    if (!isAbsolute(path)) throw new TypeError(`socketPath must be absolute, got ${JSON.stringify(path)}`);
    if (path.includes("\0")) throw new TypeError("socketPath must not contain NUL");
    if (bytes > maxSocketPathBytes) {
      throw new RangeError(`socketPath must have at most ${maxSocketPathBytes} bytes, has ${bytes}`);
    }
    if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
      throw new RangeError(`mode must be between 0 and 0o777, got ${mode}`);
    }
    if (secure) throw new TypeError("tls is for a port, not for a Unix socket");
    return { address: { kind: "unix", path }, mode };
  }
  const { port, host = "127.0.0.1" } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be a whole number between 0 and 65535, got ${port}`);
  }
  if (host === "") throw new TypeError("host must not be empty: name an address, such as 0.0.0.0 for all of IPv4");
  return { address: { kind: "tcp", host, port, secure }, mode: 0 };
}

/** What a client on this machine takes to connect: "http://127.0.0.1:4242", "https://…" or "unix:/path". */
export function formatEndpoint(address: BoundAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const host = wildcards.get(address.host) ?? address.host;
  return `${address.secure ? "https" : "http"}://${isIPv6(host) ? `[${host}]` : host}:${address.port}`;
}

// "Every interface" is no address to connect to.
const wildcards = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);
