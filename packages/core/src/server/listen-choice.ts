import { isIP } from "node:net";
import type { ListenAddress } from "../listener/listener.ts";
import { DEFAULT_PORT } from "../protocol/constants.ts";
import type { LaunchEnvironment } from "./environment-schema.ts";

/**
 * Where to listen: what the caller says, else what a launcher says, else the default port.
 * @throws {TypeError} naming the option.
 */
export function chooseListenAddress(chosen: ListenAddress | undefined, environment: LaunchEnvironment): ListenAddress {
  if (chosen !== undefined) {
    if (typeof chosen === "object" && chosen !== null) return chosen;
    throw new TypeError(`listen must be { port } or { socketPath }, got ${JSON.stringify(chosen)}`);
  }
  if (environment.socketPath !== undefined) return { socketPath: environment.socketPath };
  return { port: environment.port ?? DEFAULT_PORT };
}

/** Whether only this machine can connect: a Unix socket or a loopback address. A name other than localhost may be anything. */
export function isLocalOnly(address: ListenAddress): boolean {
  if ("socketPath" in address) return true;
  const { host = "127.0.0.1" } = address;
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
