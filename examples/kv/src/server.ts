// The KV plugin as a program. On its own it listens on PORT (default 8080); launched by a host, on what the host says.
// KV_FILE names the database file (default cpg-kv.db in the folder for temporary files); HOST_URL a host to register at.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "@cpg/core";
import { kvPlugin } from "./gen/kv/v1/kv_cpg.ts";
import { createKvService } from "./kv-service.ts";
import { openKvTable } from "./kv-table.ts";

const file = process.env.KV_FILE ?? join(tmpdir(), "cpg-kv.db");
const table = openKvTable(file);
const impl = createKvService(table);

const server = await serve({
  plugins: { kv: kvPlugin },
  impls: { kv: impl },
  link: {
    onEvent(event) {
      if (event.type !== "state") return;
      if (event.state === "linked") console.error("kv has joined the host");
      if (event.state === "backoff") console.error(`kv has no host and tries again: ${event.error?.rawMessage ?? ""}`);
    },
  },
});
server.draining.addEventListener("abort", () => impl.close());
console.error(`kv listens on ${server.endpoint}, data in ${file}`);

await server.closed;
table.close();
