import { reservePort } from "./port-reservation.ts";
import { createSocketDirectory } from "./socket-directory.ts";

/** Where one launched plugin may listen. */
export interface LaunchPlace {
  readonly port: number;
  readonly socketPath: string | undefined;
  readonly directory: string | undefined;
  /** Gives port and directory back. Never throws: a directory that cannot be removed holds nothing but a dead socket. */
  release(): Promise<void>;
}

export async function createLaunchPlace(transport: "unix" | "tcp"): Promise<LaunchPlace> {
  const port = await reservePort();
  if (transport === "tcp") {
    return { port: port.port, socketPath: undefined, directory: undefined, release: async () => port.release() };
  }
  try {
    const sockets = await createSocketDirectory();
    return {
      port: port.port,
      socketPath: sockets.socketPath,
      directory: sockets.path,
      async release() {
        port.release();
        await sockets.remove().catch(() => {});
      },
    };
  } catch (error) {
    port.release();
    throw error;
  }
}
