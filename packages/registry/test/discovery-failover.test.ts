import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPluginClient, definePlugin, serve } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { describe, expect, it } from "vitest";
import { createRegistry, fileEndpoints } from "../src/index.ts";

const logger = definePlugin({
  name: "logger",
  version: "1.0.0",
  service: Logger,
  provides: [{ type: "logger", version: "1.0.0" }],
});
const alone = { environment: {}, handleSignals: false, graceMs: 1_000, listen: { port: 0 } } as const;

/** A plugin server that counts its calls. */
async function startLogger() {
  let calls = 0;
  const server = await serve({
    ...alone,
    link: false,
    plugins: { logger },
    impls: {
      logger: {
        log() {
          calls++;
          return {};
        },
      },
    },
  });
  return {
    endpoint: server.endpoint,
    calls: () => calls,
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  };
}

async function startHost() {
  const registry = createRegistry();
  const host = await serve({ ...alone, plugins: {}, impls: {}, extensions: [registry] });
  return { registry, endpoint: host.endpoint, close: () => host.close({ graceMs: 0 }) };
}

/** A file that names endpoints, replaced as a whole. */
async function startFile(endpoints: readonly string[]) {
  const directory = await mkdtemp(join(tmpdir(), "cpg-failover-"));
  const path = join(directory, "endpoints.json");
  const name = async (next: readonly string[]) => {
    await writeFile(`${path}.new`, JSON.stringify(next));
    await rename(`${path}.new`, path);
  };
  await name(endpoints);
  return { path, name, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

describe("endpoints that a file names", () => {
  it("are where a client's calls go, also after the file has changed; none is lost", async () => {
    await using first = await startLogger();
    await using second = await startLogger();
    await using file = await startFile([first.endpoint]);
    await using client = createPluginClient({ endpoint: fileEndpoints({ path: file.path }), plugins: { logger } });
    const log = await client.dispense("logger");
    await log.log({ message: "x" });
    expect([first.calls(), second.calls()]).toEqual([1, 0]);
    await file.name([second.endpoint]);
    let sent = 1;
    while (second.calls() === 0) {
      await log.log({ message: "x" });
      sent++;
    }
    expect(first.calls() + second.calls()).toBe(sent);
    expect((await client.connect()).endpoint).toBe(second.endpoint);
  });

  it("are the hosts of a plugin, which registers at the next one when its own is gone", async () => {
    const first = await startHost();
    const second = await startHost();
    try {
      await using file = await startFile([first.endpoint]);
      await using plugin = await serve({
        ...alone,
        plugins: { logger },
        impls: { logger: { log: () => ({}) } },
        link: { hostUrl: fileEndpoints({ path: file.path }), heartbeatMs: 100, backoff: { initialMs: 10, maxMs: 100 } },
      });
      expect((await plugin.link?.whenLinked())?.hostUrl).toBe(first.endpoint);
      expect(first.registry.providers()).toMatchObject([{ selfId: "logger" }]);
      const { promise: moved, resolve } = Promise.withResolvers<string>();
      plugin.link?.onIdentityChange((identity) => {
        if (identity !== undefined) resolve(identity.hostUrl);
      });
      await file.name([second.endpoint]);
      await first.close();
      expect(await moved).toBe(second.endpoint);
      expect((await plugin.link?.whenLinked())?.hostUrl).toBe(second.endpoint);
      expect(second.registry.providers()).toMatchObject([{ selfId: "logger" }]);
    } finally {
      await first.close();
      await second.close();
    }
  });
});
