import { fileURLToPath } from "node:url";
import { createClient, type Interceptor } from "@connectrpc/connect";
import {
  assignIdentity,
  type CallTransport,
  createPluginClient,
  launchPlugin,
  memoryStrategy,
  nodeStrategy,
  openCallTransport,
  type PluginClientOptions,
  parseEndpoint,
  workerStrategy,
} from "@cpg/core";
import { PluginControl } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { systemClock } from "@cpg/resilience";
import { createServiceClient } from "../../src/client/service-client.ts";
import type { LaunchStrategy } from "../../src/launch/launch-strategy.ts";
import { type ContractPlugins, contractPlugins, createContractServer } from "./contract-plugin.ts";
import type { Carrier, StartedPlugin, StartOptions, Traits } from "./subject.ts";

/** Runs the plugin without change wherever a program of its own is called for. */
const contractMain = fileURLToPath(new URL("./contract-plugin-main.ts", import.meta.url));

/** What Node compiled once, it does not compile again: half of the time that a process takes to start. */
const compileCache = fileURLToPath(new URL("../../.vitest/compile-cache", import.meta.url));
const program = { entry: contractMain, env: { NODE_COMPILE_CACHE: compileCache } };

type Wire = Pick<PluginClientOptions<ContractPlugins>, "httpVersion" | "protocol">;

/** Sockets hold some megabytes each way before they push back. */
const socketBytes = 16 * 1024 * 1024;
const overHttp2: Traits = {
  network: "unix",
  protocol: "connect",
  httpVersion: "2",
  byReference: false,
  launched: true,
  provesHost: true,
  aheadBytes: socketBytes,
};
const overTcp: Traits = { ...overHttp2, network: "tcp", provesHost: false };
const inMemory: Traits = {
  ...overHttp2,
  network: "memory",
  httpVersion: undefined,
  provesHost: false,
  aheadBytes: 2 * 32 * 1024,
};

/** A thread is told how much it may send ahead. */
const windowBytes = 512 * 1024;

const passOn: Interceptor = (next) => (request) => next(request);

export const carriers: readonly Carrier[] = [
  launched("a process over a Unix socket, HTTP/2", overHttp2, () => nodeStrategy(program)),
  launched(
    "a process over TCP, HTTP/1.1",
    { ...overTcp, httpVersion: "1.1" },
    () => nodeStrategy({ ...program, transport: "tcp" }),
    { httpVersion: "1.1" },
  ),
  remote("a remote endpoint, HTTP/2", { ...overTcp, launched: false }, {}),
  {
    ...remote(
      "a remote endpoint, gRPC",
      { ...overTcp, launched: false, protocol: "grpc" },
      { protocol: "grpc", httpVersion: "2" },
    ),
    onlyCalls: true,
  },
  {
    ...remote(
      "a remote endpoint, gRPC-Web over HTTP/1.1",
      { ...overTcp, launched: false, protocol: "grpc-web", httpVersion: "1.1" },
      { protocol: "grpc-web", httpVersion: "1.1" },
    ),
    onlyCalls: true,
  },
  launched("memory, isolated", inMemory, () => memoryStrategy(createContractServer())),
  launched("memory, by reference", { ...inMemory, byReference: true }, () =>
    memoryStrategy({ ...createContractServer(), byReference: true }),
  ),
  launched("memory, isolated, behind interceptors of the server", inMemory, () =>
    memoryStrategy({ ...createContractServer(), interceptors: [passOn] }),
  ),
  withoutInterceptors("memory, isolated, without any interceptor", inMemory),
  launched("a worker thread", { ...inMemory, aheadBytes: windowBytes }, () => workerStrategy(program)),
];

function launched(title: string, traits: Traits, strategy: () => LaunchStrategy, wire: Wire = {}): Carrier {
  return {
    title,
    traits,
    async start(options = {}) {
      return await launchPlugin<ContractPlugins>({
        strategy: strategy(),
        plugins: contractPlugins,
        readyTimeoutMs: 50_000, // many start at a time
        ...wire,
        ...options,
      });
    },
  };
}

/** The shortest way: launchPlugin puts an interceptor of its own before every call. */
function withoutInterceptors(title: string, traits: Traits): Carrier {
  const inner = launched(title, traits, () => memoryStrategy(createContractServer()));
  return {
    title,
    traits,
    onlyCalls: true,
    async start(options) {
      const plugin = await inner.start(options);
      if (options !== undefined) return plugin;
      const { transport } = plugin.openTransport();
      const { controlToken } = plugin; // a copy by spread lacks it, as logs do
      const dispense: StartedPlugin["dispense"] = async (name) =>
        createServiceClient(contractPlugins[name].service, transport);
      return { ...plugin, controlToken, dispense };
    },
  };
}

/** A program that somebody else started, known by its address, and by the control token that both were configured with. */
function remote(title: string, traits: Traits, wire: Wire): Carrier {
  return { title, traits, start: (options = {}) => startRemote(wire, options) };
}

async function startRemote(wire: Wire, { host, signal, ...options }: StartOptions): Promise<StartedPlugin> {
  const elsewhere = nodeStrategy({ ...program, transport: "tcp" });
  const running = await elsewhere.launch({
    plugin: "contract",
    readyTimeoutMs: 50_000,
    onLog: () => {},
    clock: systemClock,
    signal,
  });
  const { endpoint, controlToken, exited } = running;
  const open = (): CallTransport =>
    openCallTransport({
      ...wire,
      endpoint: parseEndpoint(endpoint),
      httpVersion: wire.httpVersion === "1.1" ? "1.1" : "2",
    });
  const client = createPluginClient<ContractPlugins>({ endpoint, plugins: contractPlugins, ...wire, ...options });
  const askToStop = async (graceMs: number) => {
    const calls = open();
    try {
      const gracePeriodSeconds = Math.max(1, Math.floor(graceMs / 1000));
      await createClient(PluginControl, calls.transport).shutdown({ gracePeriodSeconds, controlToken });
    } finally {
      await calls.close();
    }
  };
  try {
    await client.connect({ signal });
    const identity = host && (await assignIdentity({ endpoint, controlToken, host }));
    // Who attached the plugin takes its identity back; launchPlugin does so by itself.
    if (identity) void exited.then(() => host?.identities.revoke(identity.runtimeId));
    const started: StartedPlugin = {
      controlToken,
      identity,
      exited,
      connect: () => client.connect(),
      dispense: (plugin) => client.dispense(plugin),
      openTransport: open,
      stop: ({ graceMs = 30_000 } = {}) => running.stop({ graceMs, askToStop: () => askToStop(graceMs) }),
      kill: () => running.kill(),
      async [Symbol.asyncDispose]() {
        await running.stop({ graceMs: 30_000, askToStop: () => askToStop(30_000) });
        await client.close();
      },
    };
    return started;
  } catch (reason) {
    await client.close();
    await running.kill();
    throw reason;
  }
}
