import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chainEntry } from "./platform-chain.ts";

/**
 * Starts the programs of a chain with nothing of ours at this end: each when the one before has said that it is ready.
 * Resolves with the ms that this took; by then they have ended again.
 */
export async function timeBareChain(length: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "bare-"));
  const children: ChildProcess[] = [];
  try {
    const beganMs = performance.now();
    for (let place = 0; place < length; place++)
      children.push(await startBare(place, join(directory, `${place}.sock`)));
    return performance.now() - beganMs;
  } finally {
    await Promise.all(children.map(end));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As a host of ours starts it: a process group of its own, pipes, the variables of a launch. */
async function startBare(place: number, socket: string): Promise<ChildProcess> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [...chainEntry], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH,
      HOME,
      CHAIN_PLACE: String(place),
      CPG_SOCKET: socket,
      CPG_CONTROL_TOKEN: randomBytes(32).toString("base64url"),
      CPG_READY_LINE: "1",
    },
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line");
  if (!String(line).includes('"ready"')) throw new Error(`link ${place} said: ${line}`);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
