import { once } from "node:events";
import { createServer } from "node:net";

export interface PortReservation {
  readonly port: number;
  release(): void;
}

const reserved = new Set<number>();
const maxAttempts = 20;

/**
 * A TCP port that is free on 127.0.0.1 and that no other launch of this process gets before `release`. Another process
 * may still take it before the plugin does: no system lets a port be handed over without its socket.
 */
export async function reservePort(): Promise<PortReservation> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const port = await freePort();
    if (reserved.has(port)) continue;
    reserved.add(port);
    return { port, release: () => void reserved.delete(port) };
  }
  throw new Error(`no free port on 127.0.0.1 after ${maxAttempts} attempts`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("the system assigned no port");
  return address.port;
}
