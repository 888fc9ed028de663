import { lstat, mkdir, unlink } from "node:fs/promises";
import { createConnection } from "node:net";
import { dirname } from "node:path";

/**
 * Makes a path free to listen on: makes its directory (mode 0700) if there is none, and removes the socket file of a
 * server that is gone. Two servers that claim one path at the same moment are not kept apart.
 * @throws {Error} when a server answers on that path, or something else than a socket is there.
 */
export async function claimSocketPath(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const stats = await lstat(path).catch(ignoreMissing);
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new Error(`cannot listen on ${path}: there is a file that is no socket`);
  if (await answers(path)) throw new Error(`cannot listen on ${path}: another server is listening there`);
  await unlink(path).catch(ignoreMissing);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

/** Whether somebody listens; the kernel answers at once, without that process's help. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // EAGAIN: its queue of connections is full, so it lives.
      if (error.code === "EAGAIN") resolve(true);
      else if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      else reject(new Error(`cannot listen on ${path}: ${error.message}`, { cause: error }));
    });
  });
}
