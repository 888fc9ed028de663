import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { proofAt, routedKv } from "./kv.ts";
import { groupsUnder, sizeOfGroup } from "./process-groups.ts";

interface Started {
  readonly url: string;
  readonly plugins: readonly { readonly id: string; readonly state: string; readonly pid: number }[];
}

/** Starts a host with ten plugins, kills it, and waits until no process of any group that it had is left. */
export async function killHostOfTen(env: Readonly<Record<string, string>>): Promise<void> {
  const program = fileURLToPath(new URL("./ten-plugins-host.ts", import.meta.url));
  const { PATH } = process.env;
  const host = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env: { PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(host, "exit");
  const groups = new Set<number>();
  try {
    const [line] = await Promise.race([
      once(createInterface({ input: host.stdout }), "line"),
      exited.then((exit) => Promise.reject(new Error(`the host ended: ${exit.join()}`))),
    ]);
    const { url, plugins }: Started = JSON.parse(line);
    expect(plugins.filter(({ state }) => state !== "running")).toEqual([]);
    for (const group of groupsUnder(host.pid ?? 0)) groups.add(group);
    // Each plugin with its child, and the guardian.
    expect(plugins.map(({ pid }) => sizeOfGroup(pid) > 1 && groups.has(pid))).toEqual(Array(10).fill(true));
    expect(groups.size).toBe(11);
    const proof = await proofAt(url, "caller");
    for (const [type, protocol] of [
      ["ours-1", "connect"],
      ["go-kv", "connect"],
      ["python-kv", "grpc"],
    ] as const) {
      expect(await routedKv(url, type, proof, protocol).get({ key: "nothing" })).toBeDefined();
    }

    host.kill("SIGKILL");
    expect(await exited).toEqual([null, "SIGKILL"]);
    await expect.poll(() => Array.from(groups, sizeOfGroup)).toEqual(Array(11).fill(0));
  } finally {
    host.kill("SIGKILL");
    await exited;
    for (const group of groups) if (sizeOfGroup(group) > 0) process.kill(-group, "SIGKILL");
  }
}
