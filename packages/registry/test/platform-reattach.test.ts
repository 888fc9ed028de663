import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createCaller, relayProcess, startPlatform } from "./support/platform-plugins.ts";

const program = fileURLToPath(new URL("./fixtures/platform-host.ts", import.meta.url));

/** The host in a process of its own; its plugins may outlive it. */
async function startHost(directory: string) {
  const host = spawn(process.execPath, [program], {
    env: { PATH: process.env.PATH, KEEP: directory },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(host, "exit");
  const lines = createInterface({ input: host.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => (await lines.next()).value ?? "";
  const pids: readonly number[] = JSON.parse(await nextLine());
  return { host, exited, nextLine, pids };
}

describe("a platform that starts again", { timeout: 60_000 }, () => {
  it("goes on with the plugins of one that was killed, and of one that left them", async () => {
    const directory = await mkdtemp(join(tmpdir(), "keep-"));
    try {
      const { host, exited, pids } = await startHost(directory);
      host.kill("SIGKILL");
      await exited;

      const reattach = { directory };
      const plugins = [relayProcess("a", "", { requires: ["b"], reattach }), relayProcess("b", "", { reattach })];
      const pidsOf = ({ platform }: Awaited<ReturnType<typeof startPlatform>>) =>
        platform.plugins().map(({ pid }) => pid);
      await using second = await startPlatform({ plugins });
      expect(second.states()).toEqual(["a running", "b running"]);
      expect(pidsOf(second)).toEqual(pids);
      expect(await createCaller(second.platform, ["a"]).call("a")).toBe("1.0.0 hello");
      await second.platform.close({ leave: true });

      await using third = await startPlatform({ plugins });
      expect(pidsOf(third)).toEqual(pids);
      expect(await createCaller(third.platform, ["b"]).call("b")).toBe("1.0.0 hello");
      await third.platform.replace("b", relayProcess("b", "", { version: "1.1.0", reattach }));
      expect(await createCaller(third.platform, ["b"]).call("b")).toBe("1.1.0 hello");
      await third.platform.close();
      expect(await readdir(directory)).toEqual([]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("finds none that was about to be stopped when its host was killed", async () => {
    const directory = await mkdtemp(join(tmpdir(), "keep-"));
    try {
      const { host, exited, nextLine, pids } = await startHost(directory);
      host.kill("SIGTERM");
      expect(await nextLine()).toBe("a stopped"); // b is next
      host.kill("SIGKILL");
      await exited;
      await using next = await startPlatform({ plugins: [relayProcess("b", "", { reattach: { directory } })] });
      expect(next.states()).toEqual(["b running"]);
      expect(pids).not.toContain(next.platform.plugins()[0]?.pid);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
