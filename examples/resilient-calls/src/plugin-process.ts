import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(import.meta.resolve("@cpg/example-kv/server"));

/** The KV plugin as a process that nobody watches over. */
export interface PluginProcess {
  readonly endpoint: string;
  readonly port: number;
  /** Resolves when a process that the signal ends has ended. */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM"): Promise<void>;
}

/**
 * Starts the server program of the KV example. Resolves when it listens.
 * @param port 0: one that is free.
 */
export async function startPlugin(file: string, port: number): Promise<PluginProcess> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env: { ...process.env, PORT: String(port), KV_FILE: file },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const endpoint = await endpointOf(child);
  return {
    endpoint,
    port: Number(new URL(endpoint).port),
    async signal(name) {
      const ended = name === "SIGKILL" || name === "SIGTERM" ? once(child, "exit") : undefined;
      child.kill(name);
      await ended;
    },
  };
}

/** The server says where it listens, in a line of its own. */
async function endpointOf(child: ChildProcess): Promise<string> {
  let said = "";
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.stderr?.on("data", (chunk) => {
    said += String(chunk);
    const [, endpoint] = /^kv listens on (\S+),/m.exec(said) ?? [];
    if (endpoint !== undefined) resolve(endpoint);
  });
  child.once("error", reject);
  child.once("exit", () => reject(new Error(`the plugin did not start: ${said}`)));
  return await promise;
}
