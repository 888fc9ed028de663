import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The plugin, as somebody else would run it. */
export interface RunningPlugin {
  /** What it says on stderr, from now on. Resolves with the line. */
  says(words: string): Promise<string>;
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Starts server.ts; resolves when it listens. */
export async function startPlugin(port: number, folder: string): Promise<RunningPlugin> {
  const program = fileURLToPath(new URL("./server.ts", import.meta.url));
  const env = { ...process.env, PORT: String(port), TLS_FOLDER: folder };
  const child: ChildProcess = spawn(process.execPath, [program], { env, stdio: ["ignore", "inherit", "pipe"] });
  if (child.stderr === null) throw new Error("no stderr");
  const lines = createInterface(child.stderr);
  const said: string[] = [];
  lines.on("line", (line) => said.push(line));
  const ended = once(child, "exit");
  const says = (words: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const onLine = (line: string) => {
        if (!line.includes(words)) return;
        lines.off("line", onLine);
        resolve(line);
      };
      lines.on("line", onLine);
      ended.then(
        ([code]) => reject(new Error(`the plugin ended with ${code} before it said "${words}":\n${said.join("\n")}`)),
        reject,
      );
    });
  await says("listens on");
  return {
    says,
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
