import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { createPluginClient } from "@cpg/core";
import { storagePlugin } from "@cpg/example-url-shortener-contracts";
import { afterAll, expect, it } from "vitest";
import { type ServiceProcess, startService } from "../src/service-process.ts";

const directory = mkdtempSync(join(tmpdir(), "cpg-url-shortener-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function withStorage<T>(service: ServiceProcess, work: (client: StorageClient) => Promise<T>): Promise<T> {
  await using client = createPluginClient({ endpoint: service.endpoint, plugins: { storage: storagePlugin } });
  return await work(await client.dispense("storage"));
}
type StorageClient = Awaited<
  ReturnType<ReturnType<typeof createPluginClient<{ storage: typeof storagePlugin }>>["dispense"]>
>;

it("what was saved is found after a crash and after a restart", { timeout: 120_000 }, async () => {
  const environment = { DATABASE: join(directory, "urls.db") };
  const first = await startService("storage", { environment });
  await withStorage(first, (client) => client.save({ code: "a", url: "https://example.org/a" }));
  await first.kill();

  const second = await startService("storage", { environment });
  await withStorage(second, async (client) => {
    expect((await client.find({ code: "a" })).url).toBe("https://example.org/a");
    const taken = await client.save({ code: "a", url: "https://example.org/b" }).catch(ConnectError.from);
    expect(taken).toMatchObject({ code: Code.AlreadyExists });
    const endless = await client.save({ code: "c".repeat(65), url: "https://example.org/c" }).catch(ConnectError.from);
    expect(endless).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringContaining("code") });
    await client.save({ code: "b", url: "https://example.org/b" });
  });
  await second.stop();

  const third = await startService("storage", { environment });
  await withStorage(third, async (client) => {
    expect((await client.find({ code: "b" })).url).toBe("https://example.org/b");
  });
  await third.stop();
});
