import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import type { Guardian } from "../guardian.ts";
import type { PluginProgram } from "../start-plugin.ts";
import { outputPaths } from "./output-pipes.ts";
import { processStart } from "./process-start.ts";
import type { ResolvedReattach } from "./reattach-options.ts";
import type { RunRecord } from "./run-record-schema.ts";
import { recordPath, writeRecord } from "./run-records.ts";

/** A run that is noted for the next host. */
export interface KeptRun {
  /** Says that this host has no use for it any more. False: it goes with its host. Never rejects. */
  leave(): Promise<boolean>;
  /** It goes with its host from now on. Takes effect before it returns; none once it is forgotten or left. Never throws. */
  release(): void;
  /** It has ended. Takes effect before it returns. Never throws. */
  forget(): void;
}

export interface Keeper {
  readonly guardian: Guardian;
  readonly hostClosing: AbortSignal | undefined;
}

export type RunFacts = Pick<RunRecord, "plugin" | "pid" | "start" | "controlToken" | "directory" | "fingerprint">;

/**
 * Notes a process that is ready, and lets it outlive this one, until `hostClosing` aborts.
 * @throws {Error} of the system; it goes with its host then.
 */
export async function keepRun(
  facts: RunFacts,
  reattach: ResolvedReattach,
  { guardian, hostClosing }: Keeper,
): Promise<KeptRun> {
  const { pid, directory } = facts;
  const path = recordPath(reattach.directory, facts.plugin);
  const host = { pid: process.pid, start: (await processStart(process.pid)) ?? "" };
  const record: RunRecord = { version: 1, ...facts, host, left: false };
  await writeRecord(path, record);
  guardian.keep({ pgid: pid, record: path, directory, outputs: outputPaths(directory), withinMs: reattach.withinMs });
  let isKept = true;
  const end = (): void => {
    isKept = false;
    hostClosing?.removeEventListener("abort", release);
    removeRecord(path);
  };
  const release = (): void => {
    if (!isKept) return;
    guardian.watch(pid); // first: without its record nobody would see to it
    guardian.watchDirectory(directory);
    end();
  };
  hostClosing?.addEventListener("abort", release, { once: true });
  if (hostClosing?.aborted) release();
  return {
    async leave() {
      if (!isKept) return false;
      try {
        await writeRecord(path, { ...record, left: true });
      } catch {
        return false; // nobody could find it
      }
      if (!isKept) removeRecord(path); // it ended meanwhile, or the host closes after all
      const isLeft = isKept;
      isKept = false;
      hostClosing?.removeEventListener("abort", release);
      return isLeft;
    },
    release,
    forget() {
      if (isKept) end();
    },
  };
}

function removeRecord(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // the next host finds that it has ended
  }
}

/** Equal for programs that are started in the same way. */
export function fingerprintOf(program: PluginProgram, directory: string): string {
  const { command, cwd = process.cwd(), env, inheritEnv, checksum } = program;
  const args = program.args({ directory });
  const facts = [command, args, cwd, Object.entries(env).sort(), inheritEnv, Object.entries(checksum).sort()];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}
