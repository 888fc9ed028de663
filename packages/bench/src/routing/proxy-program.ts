import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

/** A proxy that comes as a package of the system. */
export interface ProxyProgram {
  readonly name: "nginx" | "haproxy";
  /** Contents of its configuration file. */
  configure(port: number, to: string, directory: string): string;
  arguments(configuration: string, directory: string): readonly string[];
}

/** One worker and HTTP/2 on both sides; connections are kept, and hold any number of calls. */
export const nginx: ProxyProgram = {
  name: "nginx",
  configure: (port, to, directory) => `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 1000;
  client_max_body_size 0;
  upstream ends { server ${to}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} http2;
    location / { grpc_pass grpc://ends; }
  }
}
`,
  arguments: (configuration, directory) => ["-c", configuration, "-p", directory],
};

export const haproxy: ProxyProgram = {
  name: "haproxy",
  configure: (port, to) => `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend near
  bind 127.0.0.1:${port} proto h2
  default_backend far
backend far
  server end ${to} proto h2
`,
  arguments: (configuration) => ["-db", "-f", configuration],
};

/** As the program tells it: "nginx version: nginx/1.22.1", "HAProxy version 2.6.12-1 2026/10/17". Undefined if it is missing. */
export function installedVersion({ name }: ProxyProgram): string | undefined {
  const { error, stdout, stderr } = spawnSync(name, ["-v"], { encoding: "utf8" });
  return error === undefined ? versionIn(`${stdout}${stderr}`) : undefined;
}

/** @throws {Error} when a text tells no version. */
export function versionIn(told: string): string {
  const version = /\d+(?:\.\d+)+/.exec(told)?.[0];
  if (version === undefined) throw new Error(`no version in ${JSON.stringify(told.slice(0, 100))}`);
  return version;
}

export interface RunningProxy {
  readonly address: string;
  /** Its own and those of its workers. */
  readonly pids: readonly number[];
  close(): Promise<void>;
}

const startMs = 10_000;
const closeGraceMs = 5_000;

/** @throws {Error} when it does not listen in time. */
export async function startProxy(program: ProxyProgram, to: string): Promise<RunningProxy> {
  const directory = mkdtempSync(join(tmpdir(), "cpg-bench-proxy-"));
  const port = await freePort();
  const configuration = join(directory, "proxy.conf");
  writeFileSync(configuration, program.configure(port, to, directory));
  const child = spawn(program.name, program.arguments(configuration, directory), { stdio: ["ignore", 2, 2] });
  const close = async () => {
    await endProgram(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await listens(port, child);
  } catch (reason) {
    await close();
    throw reason;
  }
  const { pid = 0 } = child;
  return { address: `127.0.0.1:${port}`, pids: [pid, ...childrenOf(pid)], close };
}

/** Neither of them tells when it listens: the port is tried until it does. */
async function listens(port: number, child: ChildProcess): Promise<void> {
  const endMs = performance.now() + startMs;
  const failed = once(child, "error").then(([reason]) => Promise.reject(reason));
  failed.catch(() => {}); // it started
  while (performance.now() < endMs) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const connected = await Promise.race([
      once(socket, "connect").then(
        () => true,
        () => false,
      ),
      failed,
    ]);
    socket.destroy();
    if (connected) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${child.spawnfile} does not listen after ${startMs} ms`);
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

async function endProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), closeGraceMs);
  child.kill("SIGTERM");
  await exited;
  clearTimeout(timer);
}
