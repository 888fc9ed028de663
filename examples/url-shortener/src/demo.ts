// Starts host, logger, storage and api, each a process of its own, and shows what they do together; then a host that launches
// them itself, and replaces one while it is called. --keep leaves the first ones running until Ctrl-C. The exit code is 1
// if a call failed meanwhile.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ConnectError } from "@connectrpc/connect";
import { createPluginClient } from "@cpg/core";
import { shortenerPlugin } from "@cpg/example-url-shortener-contracts";
import { type ServiceName, type ServiceProcess, startService } from "./service-process.ts";
import { startShortenerPlatform } from "./shortener-platform.ts";

const keep = process.argv.includes("--keep");
const urls = [
  "https://connectrpc.com/docs/introduction",
  "https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1",
  "https://github.com/masegraye/connect-plugin-go",
];
const cli = fileURLToPath(new URL("../cli/src/main.ts", import.meta.url));
const data = mkdtempSync(join(tmpdir(), "cpg-url-shortener-"));
/** What the host says when a URL was shortened and resolved and all of that was logged. */
const allLogged = [/^call storage -> logger .* ok/, /^call api -> logger .* ok/, /^call api -> logger .* ok/];
/** In the order of their start. */
const running = new Map<ServiceName, ServiceProcess>();
const colour = { host: 36, logger: 33, storage: 35, api: 32, you: 1 };
const plain = process.env.NO_COLOR !== undefined || !process.stdout.isTTY;
const interrupted = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]).then(() => "interrupted");

function show(who: ServiceName | "you", line: string): void {
  const label = who.padEnd(8);
  console.log(`  ${plain ? label : `\u001b[${colour[who]}m${label}\u001b[0m`} ${line}`);
}

function title(text: string): void {
  console.log(`\n${text}`);
}

async function start(name: ServiceName, environment: Record<string, string> = {}): Promise<ServiceProcess> {
  const service = await startService(name, { environment, onLine: (line) => show(name, line) });
  running.set(name, service);
  return service;
}

async function stopAll(): Promise<void> {
  for (const service of [...running.values()].reverse()) await service.stop();
  rmSync(data, { recursive: true, force: true });
}

/** The command line, as you would use it. */
async function runCli(endpoint: string, command: "shorten" | "resolve", argument: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [cli, command, argument], {
    env: { ...process.env, API_URL: endpoint },
  });
  const answer = stdout.trim();
  show("you", `$ ${command} ${argument}`);
  show("you", answer);
  return answer;
}

async function showServices(): Promise<void> {
  title("1. Four services start. Three of them know nothing but the URL of the host.");
  const host = await start("host");
  const atHost = { HOST_URL: host.endpoint };
  const logger = await start("logger", atHost);
  await host.lines.next(/^logger is available/);
  await start("storage", { ...atHost, DATABASE: join(data, "urls.db") });
  await host.lines.next(/^storage is available/);
  const { endpoint } = await start("api", atHost);
  await host.lines.next(/^api is available/);

  title("2. URLs get codes: you -> api -> host -> storage -> host -> logger. First by the command line:");
  const [first = "", ...others] = urls;
  const code = await runCli(endpoint, "shorten", first);
  await runCli(endpoint, "resolve", code);
  await host.lines.next(...allLogged);

  title("   then by a browser, which is sent on:");
  for (const path of [`/r/${code}`, "/r/nothing"]) {
    const { status, headers } = await fetch(`${endpoint}${path}`, { redirect: "manual" });
    show("you", `GET ${path}: ${status}, location: ${headers.get("location") ?? "none"}`);
  }
  await host.lines.next(/^call api -> logger .* ok/);

  title("   and from a program:");
  const client = createPluginClient({ endpoint, plugins: { api: shortenerPlugin } });
  try {
    const shortener = await client.dispense("api");
    const roundTrip = async (url: string): Promise<void> => {
      const short = await shortener.shorten({ url });
      const long = await shortener.resolve({ code: short.code });
      show("you", `${short.code} resolves to ${long.url}`);
    };
    for (const url of others) {
      await roundTrip(url);
      await host.lines.next(...allLogged);
    }

    title("3. Who needs whom, as the host sees it (Mermaid; broken lines: it can do without):");
    const graph = await (await fetch(`${host.endpoint}/graph`)).text();
    console.log(graph.trimEnd().replace(/^/gm, "  "));

    title("4. The logger is killed. Nobody else stops: storage and api say that they are degraded, and work.");
    await logger.kill();
    await host.lines.next(/^logger is unavailable/, /^storage is degraded/, /^api is degraded/);
    await roundTrip("https://example.org/without-a-logger");

    title("5. The logger is back. Nobody was told where it is now; everybody recovers.");
    await start("logger", atHost);
    await host.lines.next(/^logger is available/, /^storage is available/, /^api is available/);
    await roundTrip("https://example.org/with-a-logger");
    await host.lines.next(...allLogged);
  } finally {
    await client.close();
  }

  await showReplacement();
  if (!keep) return;
  title("It keeps running until Ctrl-C. In another terminal:");
  console.log(`  curl -i ${endpoint}/r/${code}`);
  console.log(`  curl ${host.endpoint}/graph`);
  console.log(`  API_URL=${endpoint} npx -y pnpm@12 --silent urls:shorten https://example.org`);
  await interrupted;
}

/** The same programs under a host that launches them: it puts a new storage in the place of the old one, under load. */
async function showReplacement(): Promise<void> {
  title("6. A host may launch them itself, and replace them while they are called. Here storage, with 8 callers:");
  const { platform, shortener, plugin, close } = await startShortenerPlatform({ database: join(data, "replaced.db") });
  try {
    const stopped = new AbortController();
    let calls = 0;
    const failures: string[] = [];
    const call = async (): Promise<void> => {
      while (!stopped.signal.aborted) {
        calls += 2;
        try {
          const { code } = await shortener.shorten({ url: "https://example.org/while-it-is-replaced" });
          await shortener.resolve({ code });
        } catch (reason) {
          failures.push(ConnectError.from(reason).message);
        }
      }
    };
    const callers = Array.from({ length: 8 }, call);
    const { switchMs } = await platform.replace("storage", plugin("storage"));
    for (let after = 0; after < 20; after++) await shortener.shorten({ url: "https://example.org/after" });
    stopped.abort("it is replaced");
    await Promise.all(callers);
    show("you", `calls made: ${calls}, failed: ${failures.length}; the switch took ${switchMs.toFixed(1)} ms`);
    if (failures.length === 0) return;
    process.exitCode = 1;
    for (const failure of new Set(failures)) show("you", failure);
  } finally {
    await close();
  }
}

try {
  if ((await Promise.race([showServices(), interrupted])) === "interrupted" && !keep) process.exitCode = 130;
  title("7. All end, each asked by SIGTERM, the last one first.");
} finally {
  await stopAll();
}
console.log("\nThat was a host with three plugins. examples/url-shortener/README.md tells how to run them one by one.");
process.exit();
