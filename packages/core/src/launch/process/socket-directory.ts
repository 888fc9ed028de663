import { randomBytes } from "node:crypto";
import { mkdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Guardian } from "./guardian.ts";

export interface SocketDirectory {
  readonly path: string;
  readonly socketPath: string;
  /** Never throws: what cannot be removed holds nothing but a dead socket. */
  remove(): Promise<void>;
}

/** `sun_path` holds 104 bytes on macOS and BSD, 108 on Linux, the final NUL included. */
const maxSocketPathBytes = 103;

/**
 * A fresh directory of mode 0700 for one plugin's socket, so that no other user of the machine can connect to it. It goes
 * with this process, however that ends.
 * @throws {ConnectError} `failed_precondition` when the path of the socket would be too long for the system.
 */
export async function createSocketDirectory(guardian: Guardian): Promise<SocketDirectory> {
  const parent = await realpath(tmpdir());
  const path = join(parent, `cpg-${randomBytes(8).toString("hex")}`);
  const socketPath = socketPathOf(path);
  if (Buffer.byteLength(socketPath) > maxSocketPathBytes) {
    throw new ConnectError(
      `a socket under ${parent} would have a path of more than ${maxSocketPathBytes} bytes: set TMPDIR to a shorter one`,
      Code.FailedPrecondition,
    );
  }
  // Before it exists: this process may not live to tell.
  guardian.watchDirectory(path);
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    guardian.forgetDirectory(path);
    throw error;
  }
  return { path, socketPath, remove: () => removeSocketDirectory(path, guardian) };
}

/** The socket of a directory that was made for one. */
export function socketPathOf(directory: string): string {
  return join(directory, "p.sock");
}

/** Never throws. */
export async function removeSocketDirectory(path: string, guardian: Guardian): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => {});
  guardian.forgetDirectory(path);
}
