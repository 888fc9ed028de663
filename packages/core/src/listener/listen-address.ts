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
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string; readonly mode: number };

export const DEFAULT_HOST = "127.0.0.1";

/** With defaults filled in; the port may still be 0. @throws {TypeError} {RangeError} naming the option. */
export function resolveListenAddress(address: ListenAddress): BoundAddress {
  if ("socketPath" in address) {
    const { socketPath, mode = 0o600 } = address;
    if (!isAbsolute(socketPath) || socketPath.includes("\0")) {
      throw new TypeError(`socketPath must be an absolute path, got ${JSON.stringify(socketPath)}`);
    }
    if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
      throw new RangeError(`mode must be between 0 and 0o777, got ${mode}`);
    }
    return { socketPath, mode };
  }
  const { port, host = DEFAULT_HOST } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be a whole number between 0 and 65535, got ${port}`);
  }
  if (host === "") throw new TypeError("host must not be empty");
  return { host, port };
}

/** What a client on this machine takes to connect: "http://127.0.0.1:4242", "https://…" or "unix:/path". */
export function formatEndpoint(address: BoundAddress, secure: boolean): string {
  if ("socketPath" in address) return `unix:${address.socketPath}`;
  const host = wildcards.get(address.host) ?? address.host;
  return `${secure ? "https" : "http"}://${isIPv6(host) ? `[${host}]` : host}:${address.port}`;
}

// "Every interface" is no address to connect to.
const wildcards = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);
