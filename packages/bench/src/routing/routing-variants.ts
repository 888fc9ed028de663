import type { OutgoingHttpHeaders } from "node:http2";
import { type ForkedServer, forkServer } from "../launch/forked-server.ts";
import type { Variant } from "../table.ts";
import { haproxy, installedVersion, nginx, type ProxyProgram, startProxy } from "./proxy-program.ts";
import { type Between, routingSubject } from "./routing-cases.ts";

export const direct = "direct";
export const router = "router";

/** What the program of the router tells. */
export interface RouterAddress {
  readonly address: string;
  readonly prefix: string;
  readonly headers: OutgoingHttpHeaders;
  readonly pid: number;
}

const programs = {
  rawEcho: new URL("./raw-echo-main.ts", import.meta.url),
  pipe: new URL("./pipe-main.ts", import.meta.url),
  router: new URL("./router-main.ts", import.meta.url),
};

/** A variant with a provider of its own behind whatever is between. */
function variant(name: string, open: (provider: ForkedServer) => Promise<Between>): Variant {
  return {
    name,
    async setup() {
      const provider = await forkServer(programs.rawEcho, []);
      try {
        const { target, pids, close } = await open(provider);
        return await routingSubject({
          target,
          pids,
          async close() {
            await close();
            await provider.close();
          },
        });
      } catch (reason) {
        await provider.close();
        throw reason;
      }
    },
  };
}

function proxyVariant(proxy: ProxyProgram): Variant {
  return variant(proxy.name, async ({ address }) => {
    const { pids, close, ...target } = await startProxy(proxy, address);
    return { target, pids, close };
  });
}

/** Those that are on this machine; of others it is said how to get them. */
export const proxies: readonly ProxyProgram[] = [nginx, haproxy].filter((proxy) => {
  if (installedVersion(proxy) !== undefined) return true;
  console.error(`routing: ${proxy.name} is not installed, and left out (Debian package ${proxy.name})`);
  return false;
});

export const routingVariants: readonly Variant[] = [
  variant(direct, async ({ address }) => ({ target: { address }, pids: [], close: async () => {} })),
  variant("socket pipe", async ({ address }) => {
    const pipe = await forkServer(programs.pipe, [address]);
    return { target: pipe, pids: [pipe.pid], close: () => pipe.close() };
  }),
  ...proxies.map(proxyVariant),
  variant(router, async ({ address }) => {
    const forked = await forkServer(programs.router, [address]);
    const { pid, ...target }: RouterAddress = JSON.parse(forked.address);
    return { target, pids: [pid], close: () => forked.close() };
  }),
];
