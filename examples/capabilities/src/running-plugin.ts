import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A plugin, as somebody else would run it. */
export interface RunningPlugin {
  /** The line in which it says that, as soon as it has. Rejects when the plugin ends before. */
  says(words: string): Promise<string>;
  /** Asks it to end; resolves when it has. */
  end(): Promise<void>;
  kill(): void;
}

/** Starts plugin.ts under a name. */
export function startPlugin(selfId: string, hostUrl: string): RunningPlugin {
  const program = fileURLToPath(new URL("./plugin.ts", import.meta.url));
  const env = { ...process.env, SELF_ID: selfId, HOST_URL: hostUrl };
  const child = spawn(process.execPath, [program], { env, stdio: ["pipe", "pipe", "inherit"] });
  const said: string[] = [];
  const listeners = new Set<() => void>();
  createInterface(child.stdout).on("line", (line) => {
    said.push(line);
    for (const look of [...listeners]) look();
  });
  const closed = once(child, "close");
  return {
    says: (words) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const line = said.find((other) => other.includes(words));
          if (line === undefined) return;
          listeners.delete(look);
          resolve(line);
        };
        listeners.add(look);
        closed.then(() => reject(new Error(`${selfId} ended before it said "${words}":\n${said.join("\n")}`)), reject);
        look();
      }),
    async end() {
      child.stdin.end();
      await closed;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}
