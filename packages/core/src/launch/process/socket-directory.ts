import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";

export interface SocketDirectory {
  readonly path: string;
  readonly socketPath: string;
  remove(): Promise<void>;
}

/** `sun_path` holds 104 bytes on macOS and BSD, 108 on Linux, the final NUL included. */
const maxSocketPathBytes = 103;

/**
 * A fresh directory of mode 0700 for one plugin's socket, so that no other user of the machine can connect to it.
 * @throws {ConnectError} `failed_precondition` when the path of the socket would be too long for the system.
 */
export async function createSocketDirectory(parent: string = tmpdir()): Promise<SocketDirectory> {
  const base = await realpath(parent);
  const longest = join(base, "cpg-XXXXXX", "p.sock");
  if (Buffer.byteLength(longest) > maxSocketPathBytes) {
    throw new ConnectError(
      `a socket under ${base} would have a path of more than ${maxSocketPathBytes} bytes: set TMPDIR to a shorter one`,
      Code.FailedPrecondition,
    );
  }
  const path = await mkdtemp(join(base, "cpg-")); // mode 0700
  return { path, socketPath: join(path, "p.sock"), remove: () => rm(path, { recursive: true, force: true }) };
}
