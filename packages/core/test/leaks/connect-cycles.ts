import { echoClient, serveEcho } from "../support/started-server.ts";
import { reportHoldings } from "./holdings.ts";

const httpVersions = ["1.1", "2", "auto"] as const;
let count = 0;

await reportHoldings(500, async () => {
  const httpVersion = httpVersions[count++ % httpVersions.length];
  const server = await serveEcho({ handleSignals: true });
  const client = echoClient(server.endpoint, { httpVersion, selfId: "leak-check" });
  const call = await client.dispense("echo");
  await call.unary({ text: "x" });
  for await (const _ of call.serverStream({ count: 2 })) break;
  await client.close();
  await server.close({ graceMs: 1_000 });
});
