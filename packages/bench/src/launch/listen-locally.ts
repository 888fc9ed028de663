import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Path of a Unix socket in a new directory of its own. The directory is removed when this process exits. */
export function socketPath(): string {
  const directory = mkdtempSync(join(tmpdir(), "cpg-bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "s.sock");
}

/** Listens on a Unix socket, or on a free port of loopback. Resolves with the path, or "127.0.0.1:PORT". */
export async function listenLocally(server: Server, socket: "unix" | "tcp"): Promise<string> {
  const path = socket === "unix" ? socketPath() : undefined;
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  if (path !== undefined) return path;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `127.0.0.1:${address.port}`;
}
