import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Sees processes end: each connects and says its name, and the system ends its connection when it ends. */
export interface Departures extends AsyncDisposable {
  /** Where they connect to. */
  readonly path: string;
  /** Resolves when a process of that name has come and ended. */
  left(name: string): Promise<void>;
}

export async function createDepartures(): Promise<Departures> {
  const directory = await mkdtemp(join(tmpdir(), "departures-"));
  const path = join(directory, "d.sock");
  const visits = new Map<string, PromiseWithResolvers<void>>();
  const visit = (name: string): PromiseWithResolvers<void> => {
    const known = visits.get(name) ?? Promise.withResolvers<void>();
    visits.set(name, known);
    return known;
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let name = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      name += chunk;
    });
    socket.on("error", () => {}); // a process that was killed
    socket.once("close", () => visit(name).resolve());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    left: (name) => visit(name).promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
