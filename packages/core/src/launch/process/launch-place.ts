import type { Guardian } from "./guardian.ts";
import { reservePort } from "./port-reservation.ts";
import { createSocketDirectory } from "./socket-directory.ts";

/** Where one launched plugin may listen. */
export interface LaunchPlace {
  readonly port: number;
  readonly socketPath: string | undefined;
  readonly directory: string | undefined;
  /** Gives port and directory back. Never throws. */
  release(): Promise<void>;
}

/** @throws {ConnectError} {Error} of the system when there is no port, or no directory. */
export async function createLaunchPlace(transport: "unix" | "tcp", guardian: Guardian): Promise<LaunchPlace> {
  const port = await reservePort();
  if (transport === "tcp") {
    return { port: port.port, socketPath: undefined, directory: undefined, release: async () => port.release() };
  }
  try {
    const sockets = await createSocketDirectory(guardian);
    return {
      port: port.port,
      socketPath: sockets.socketPath,
      directory: sockets.path,
      async release() {
        port.release();
        await sockets.remove();
      },
    };
  } catch (error) {
    port.release();
    throw error;
  }
}
