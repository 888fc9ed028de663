import { Agent } from "node:http";
import { connect } from "node:net";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import type { Variant } from "../table.ts";
import { type Carriage, carriages, describeCarriage } from "./carriage.ts";
import { itemCases } from "./echo-cases.ts";
import { forkServer } from "./forked-server.ts";

export const connectNodeName = (carriage: Carriage): string => `connect-node, ${describeCarriage(carriage)}`;

/** connect-node on both sides and nothing of ours, but compression off, as it is with ours on one machine. */
export const connectNodeVariants: readonly Variant[] = carriages.map((carriage) => ({
  name: connectNodeName(carriage),
  async setup() {
    const { socket, httpVersion } = carriage;
    const server = await forkServer(new URL("./connect-node-main.ts", import.meta.url), [socket, httpVersion]);
    const { transport, close } = openTransport(server.address, carriage);
    return {
      cases: itemCases(createClient(EchoService, transport), "elsewhere"),
      async close() {
        close();
        await server.close();
      },
    };
  },
}));

function openTransport(address: string, { socket, httpVersion }: Carriage): { transport: Transport; close(): void } {
  const path = socket === "unix" ? address : undefined;
  const baseUrl = path === undefined ? `http://${address}` : "http://localhost";
  if (httpVersion === "1.1") {
    const agent = new Agent({ keepAlive: true });
    const nodeOptions = path === undefined ? { agent } : { agent, socketPath: path };
    const transport = createConnectTransport({ baseUrl, httpVersion, nodeOptions, acceptCompression: [] });
    return { transport, close: () => agent.destroy() };
  }
  const nodeOptions = path === undefined ? {} : { createConnection: () => connect(path) };
  const sessionManager = new Http2SessionManager(baseUrl, {}, nodeOptions);
  const transport = createConnectTransport({ baseUrl, httpVersion, sessionManager, acceptCompression: [] });
  return { transport, close: () => sessionManager.abort() };
}
