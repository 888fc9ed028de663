import { Server } from "node:net";
import { type Context, ServiceBroker, Transporters } from "moleculer";

/** What Moleculer's brokers send each other is JSON: bytes travel as base64, a 64-bit number as text. */
export interface JsonItem {
  readonly key: string;
  readonly value: string;
  readonly revision: string;
  readonly tags: readonly string[];
}

const serverNode = "bench-server";
const clientNode = "bench-client";
const host = "127.0.0.1";

/** A broker for this process alone. */
export function createLocalBroker(): ServiceBroker {
  return new ServiceBroker({ nodeID: serverNode, logger: false });
}

/** Offers "echo.echo": what is sent comes back. */
export function addEchoAction(broker: ServiceBroker): void {
  broker.createService({ name: "echo", actions: { echo: (context: Context) => context.params } });
}

/** One of two brokers that talk over TCP. Without the server's port, it is the server. */
export function createTcpBroker(serverPort?: number): { broker: ServiceBroker; transporter: Transporters.TCP } {
  const urls = serverPort === undefined ? {} : { urls: `tcp://${host}:${serverPort}/${serverNode}` };
  const transporter = new Transporters.TCP({ udpDiscovery: false, ...urls });
  const nodeID = serverPort === undefined ? serverNode : clientNode;
  const broker = new ServiceBroker({ nodeID, logger: false, transporter });
  const { localNode } = broker.registry.nodes;
  if (localNode === undefined) throw new Error("the broker has no node of its own");
  localNode.hostname = host; // by which the other broker calls back
  return { broker, transporter };
}

/** Starts a broker so that it listens on loopback only: Moleculer has no option for that and would on all addresses. */
export async function startOnLoopback(broker: ServiceBroker): Promise<void> {
  const { listen } = Server.prototype;
  Object.assign(Server.prototype, {
    listen(this: Server, options: object, ...rest: unknown[]) {
      return Reflect.apply(listen, this, [{ ...options, host }, ...rest]);
    },
  });
  try {
    await broker.start();
  } finally {
    Server.prototype.listen = listen;
  }
}
