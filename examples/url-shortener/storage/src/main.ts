// Keeps codes and URLs in a SQLite file, DATABASE (default cpg-urls.db in the folder for temporary files). HOST_URL:
// where it registers; PORT, LISTEN_HOST, PUBLIC_URL.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { serve } from "@cpg/core";
import {
  type LogLine,
  linkToHost,
  logThroughHost,
  serviceSettings,
  storagePlugin,
} from "@cpg/example-url-shortener-contracts";
import { registryClient } from "@cpg/registry";
import { openUrlTable } from "./url-table.ts";

const file = process.env.DATABASE ?? join(tmpdir(), "cpg-urls.db");
const table = openUrlTable(file);
let logLine: LogLine = () => {};

const server = await serve({
  plugins: { storage: storagePlugin },
  impls: {
    storage: {
      save({ code, url }) {
        checkLength("code", code, 64);
        checkLength("url", url, 2048);
        if (!table.save(code, url)) throw new ConnectError(`${code} stands for another URL`, Code.AlreadyExists);
        logLine(`saved ${code}`);
        return {};
      },
      find({ code }) {
        const url = table.find(code);
        if (url === undefined) throw new ConnectError(`nothing has the code ${code}`, Code.NotFound);
        return { url };
      },
    },
  },
  link: linkToHost("storage"),
  ...serviceSettings(process.env),
});
if (server.link?.hostUrl !== undefined) {
  const registry = registryClient(server.link);
  logLine = logThroughHost(registry, server.health, server.draining);
  server.draining.addEventListener("abort", () => void registry.close());
}
console.log(`storage ready at ${server.endpoint}, data in ${file}`);

await server.closed;
table.close();

function checkLength(field: string, value: string, maxBytes: number): void {
  const bytes = Buffer.byteLength(value);
  if (bytes >= 1 && bytes <= maxBytes) return;
  throw new ConnectError(`${field} must have from 1 to ${maxBytes} bytes, got ${bytes}`, Code.InvalidArgument);
}
