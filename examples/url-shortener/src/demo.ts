// Starts host, logger, storage and api, each a process of its own, and shows what they do together. --keep leaves them
// running until Ctrl-C.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPluginClient } from "@cpg/core";
import { api } from "@cpg/example-url-shortener-contracts";
import { type ServiceName, type ServiceProcess, startService } from "./service-process.ts";

const keep = process.argv.includes("--keep");
const urls = [
  "https://connectrpc.com/docs/introduction",
  "https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1",
  "https://github.com/masegraye/connect-plugin-go",
];
const data = mkdtempSync(join(tmpdir(), "cpg-url-shortener-"));
const running: ServiceProcess[] = [];
const colour: Record<ServiceName, number> = { host: 36, logger: 33, storage: 35, api: 32 };
const plain = process.env.NO_COLOR !== undefined || !process.stdout.isTTY;

function show(name: ServiceName, line: string): void {
  const label = name.padEnd(8);
  console.log(`  ${plain ? label : `\u001b[${colour[name]}m${label}\u001b[0m`} ${line}`);
}

function title(text: string): void {
  console.log(`\n${text}`);
}

async function start(name: ServiceName, environment: Record<string, string> = {}): Promise<ServiceProcess> {
  const service = await startService(name, { environment, onLine: show });
  running.push(service);
  return service;
}

async function stopAll(): Promise<void> {
  for (const service of running.splice(0).reverse()) await service.stop();
  rmSync(data, { recursive: true, force: true });
}

async function showServices(): Promise<void> {
  title("1. Four services start. Three of them know nothing but the URL of the host.");
  const host = await start("host");
  const atHost = { HOST_URL: host.endpoint };
  let logger = await start("logger", atHost);
  await host.line(/^logger is available/);
  await start("storage", { ...atHost, DATABASE: join(data, "urls.db") });
  await host.line(/^storage is available/);
  const { endpoint } = await start("api", atHost);
  await host.line(/^api is available/);

  title("2. URLs get codes: you -> api -> host -> storage -> host -> logger.");
  const client = createPluginClient({ endpoint, plugins: { api } });
  try {
    const shortener = await client.dispense("api");
    const codes: string[] = [];
    for (const url of urls) {
      const { code } = await shortener.shorten({ url });
      codes.push(code);
      console.log(`  you      ${endpoint}/r/${code} is ${url}`);
    }
    const [first = ""] = codes;
    console.log(`  you      ${first} resolves to ${(await shortener.resolve({ code: first })).url}`);
    const redirect = await fetch(`${endpoint}/r/${first}`, { redirect: "manual" });
    console.log(`  you      GET /r/${first}: ${redirect.status}, to ${redirect.headers.get("location")}`);
    const unknown = await fetch(`${endpoint}/r/nothing`, { redirect: "manual" });
    console.log(`  you      GET /r/nothing: ${unknown.status}`);
    await logger.line(/redirected/);

    title("3. Who needs whom, as the host sees it (Mermaid):");
    const graph = await (await fetch(`${host.endpoint}/graph`)).text();
    console.log(graph.trimEnd().replace(/^/gm, "  "));

    title("4. The logger is killed. Nobody else stops: storage and api say that they are degraded.");
    await logger.kill();
    running.splice(running.indexOf(logger), 1);
    await host.line(/^logger is unavailable/);
    await host.line(/^(?:storage|api) is degraded/);
    await host.line(/^(?:storage|api) is degraded/);
    const { code } = await shortener.shorten({ url: "https://example.org/without-a-logger" });
    console.log(
      `  you      ${code} was made without a logger, and resolves to ${(await shortener.resolve({ code })).url}`,
    );

    title("5. The logger is back. Nobody was told where it is now; everybody recovers.");
    logger = await start("logger", atHost);
    await host.line(/^logger is available/);
    await host.line(/^(?:storage|api) is available/);
    await host.line(/^(?:storage|api) is available/);
    await shortener.resolve({ code });
    await logger.line(/resolved/);
  } finally {
    await client.close();
  }
  if (!keep) return;
  title(`It keeps running: the api at ${endpoint}, the host at ${host.endpoint}. Ctrl-C ends it.`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

try {
  await showServices();
  title("6. All end, each asked by SIGTERM, the last one first.");
} finally {
  await stopAll();
}
console.log("\nThat was a host with three plugins. examples/url-shortener/README.md tells how to run them one by one.");
