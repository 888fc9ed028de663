import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@cpg/resilience";
import type { SelfSigned } from "../../src/self-signed.ts";
import { inPackage } from "../../src/suite.ts";

export type ProxyName = "nginx" | "haproxy";

export interface RunningProxy {
  /** "https://localhost:4242". */
  readonly url: string;
  close(): Promise<void>;
}

export function isInstalled(name: ProxyName): boolean {
  return spawnSync(name, ["-v"], { stdio: "ignore" }).status === 0;
}

/** The configuration that users are shown. */
export function shownConfig(name: ProxyName): string {
  return readFileSync(inPackage(name === "nginx" ? "proxies/nginx.conf" : "proxies/haproxy.cfg"), "utf8");
}

const startTimeoutMs = 20_000;

/** Starts the real proxy with the configuration that users are shown, but for its ports and files. */
export async function startProxy(name: ProxyName, hostPort: number, tls: SelfSigned): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const pem = join(folder, "plugins.pem");
  const key = join(folder, "plugins.key");
  // nginx takes what it needs of it, HAProxy both.
  writeFileSync(pem, `${tls.cert}\n${tls.key}\n`, { mode: 0o600 });
  writeFileSync(key, tls.key, { mode: 0o600 });
  const port = await freePort();
  const config = replaceAll(shownConfig(name), [
    ["127.0.0.1:8080", `127.0.0.1:${hostPort}`],
    ["/etc/ssl/plugins.pem", pem],
    ...(name === "nginx"
      ? ([
          ["listen 443", `listen 127.0.0.1:${port}`],
          ["/etc/ssl/plugins.key", key],
        ] as const)
      : ([["bind :443", `bind 127.0.0.1:${port}`]] as const)),
  ]);
  const file = join(folder, "proxy.conf");
  writeFileSync(file, name === "nginx" ? wholeNginxConfig(config, folder) : config);
  const args = name === "nginx" ? ["-c", file, "-p", folder, "-e", "stderr"] : ["-db", "-f", file];
  const child = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-10_000);
    });
  }
  const exited = once(child, "exit");
  const close = async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await whenListening(port, child);
  } catch (error) {
    await close();
    throw new Error(`${name} does not listen: ${output}`, { cause: error });
  }
  return { url: `https://localhost:${port}`, close };
}

/** What Debian's /etc/nginx/nginx.conf has around it, without what needs to be installed; one process. */
function wholeNginxConfig(config: string, folder: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((what) => `${what}_temp_path ${folder}/${what};`)
    .join("\n");
  return `daemon off;\nmaster_process off;\npid ${folder}/pid;\nevents {}\nhttp {\naccess_log off;\n${temporary}\n${config}}\n`;
}

/** Each has to be there, or the test would test another configuration. */
function replaceAll(text: string, pairs: readonly (readonly [string, string])[]): string {
  return pairs.reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`the configuration has no ${from}`);
    return before.replaceAll(from, to);
  }, text);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Such programs do not tell when they are ready. */
async function whenListening(port: number, child: ChildProcess): Promise<void> {
  const endMs = systemClock.monotonic() + startTimeoutMs;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || systemClock.monotonic() > endMs) throw new Error("it ended, or took too long");
    await systemClock.sleep(20);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
