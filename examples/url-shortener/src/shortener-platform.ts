import { fileURLToPath } from "node:url";
import type { Client } from "@connectrpc/connect";
import { type LogRecord, nodeStrategy, serve } from "@cpg/core";
import {
  loggerPlugin,
  type ShortenerService,
  shortenerPlugin,
  storagePlugin,
} from "@cpg/example-url-shortener-contracts";
import { createPlatform, type Platform, type PlatformEvent, type PlatformPlugin, registryClient } from "@cpg/registry";

const definitions = { logger: loggerPlugin, storage: storagePlugin, api: shortenerPlugin } as const;

export type PluginName = keyof typeof definitions;

export interface ShortenerPlatformOptions {
  /** SQLite file of the storage. */
  readonly database: string;
  /** Delay before the first restart of a plugin that ended, in ms. Default 500. */
  readonly restartMs?: number | undefined;
  readonly onLog?: ((record: LogRecord) => void) | undefined;
  readonly onEvent?: ((event: PlatformEvent) => void) | undefined;
}

/** Logger, storage and api, launched and looked after by a host in this process, and a client of theirs. */
export interface ShortenerPlatform {
  readonly platform: Platform;
  /** Calls go to the api through the host, wherever that runs at the time. */
  readonly shortener: Client<typeof ShortenerService>;
  /** What a plugin is launched as, also in its own place. */
  plugin(name: PluginName): PlatformPlugin;
  close(): Promise<void>;
}

/** The same programs that run one by one elsewhere: they get PORT and HOST_URL, and register themselves. */
export async function startShortenerPlatform(options: ShortenerPlatformOptions): Promise<ShortenerPlatform> {
  const { database, restartMs, onLog, onEvent } = options;
  const plugin = (name: PluginName): PlatformPlugin => ({
    id: name,
    strategy: nodeStrategy({
      entry: fileURLToPath(new URL(`../${name}/src/main.ts`, import.meta.url)),
      nodeArgs: ["--disable-warning=ExperimentalWarning"],
      env: { DATABASE: database },
    }),
    foreign: {
      selfId: name,
      registers: "itself",
      provides: definitions[name].provides,
      requires: definitions[name].requires,
    },
    restart: { backoff: { initialMs: restartMs }, maxRestarts: 1_000 },
    readyTimeoutMs: 30_000,
    onLog,
  });
  const platform = await createPlatform({
    host: { listen: { port: 0 }, environment: {}, handleSignals: false },
    plugins: [],
    onEvent,
  });
  try {
    const report = await platform.add((["logger", "storage", "api"] as const).map(plugin));
    for (const { error } of report) if (error !== undefined) throw error;
    const user = await serve({
      plugins: {},
      impls: {},
      selfId: "user",
      declares: { requires: [{ type: "api" }] },
      link: { hostUrl: platform.host.endpoint },
      listen: { port: 0 },
      environment: {},
      handleSignals: false,
    });
    await user.link?.whenLinked();
    if (user.link === undefined) throw new Error("a program with a host has a link");
    const registry = registryClient(user.link);
    return {
      platform,
      shortener: registry.service(shortenerPlugin),
      plugin,
      async close() {
        await registry.close();
        await user.close();
        await platform.close();
      },
    };
  } catch (reason) {
    await platform.close();
    throw reason;
  }
}
