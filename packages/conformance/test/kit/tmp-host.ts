import { createBroker, hostLogger } from "@cpg/broker";
import { serve } from "@cpg/core";
import { createRegistry } from "@cpg/registry";

const write = (): void => {};
const broker = createBroker({
  capabilities: [hostLogger({ debug: write, info: write, warn: write, error: write })],
  limits: { maxGrantsPerIdentity: 1_000 },
});
const host = await serve({
  plugins: {},
  impls: {},
  extensions: [createRegistry({ health: { graceMs: 0, intervalMs: 100 } }), broker],
  listen: { port: 18099 },
  handshakeRate: { perSecond: 10_000, perSecondPerName: 10_000, burst: 10_000, burstPerName: 10_000 },
  environment: {},
  handleSignals: false,
});
console.log(host.endpoint);
