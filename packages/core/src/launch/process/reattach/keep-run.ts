import { createHash } from "node:crypto";
import type { Guardian } from "../guardian.ts";
import type { PluginProgram } from "../start-plugin.ts";
import { outputPaths } from "./output-pipes.ts";
import { processStart } from "./process-start.ts";
import type { ResolvedReattach } from "./reattach-options.ts";
import type { RunRecord } from "./run-record-schema.ts";
import { recordPath, takeRecord, writeRecord } from "./run-records.ts";

/** A run that is noted for the next host. */
export interface KeptRun {
  /** Says that this host has no use for it any more. @throws {Error} of the system. */
  leave(): Promise<void>;
  /** Never throws. */
  forget(): Promise<void>;
}

export type RunFacts = Pick<RunRecord, "plugin" | "pid" | "start" | "controlToken" | "directory" | "fingerprint">;

/**
 * Notes a process that is ready, and lets it outlive this one.
 * @throws {Error} of the system; it goes with its host then.
 */
export async function keepRun(facts: RunFacts, reattach: ResolvedReattach, guardian: Guardian): Promise<KeptRun> {
  const { pid, directory } = facts;
  const path = recordPath(reattach.directory, facts.plugin);
  const host = { pid: process.pid, start: (await processStart(process.pid)) ?? "" };
  const record: RunRecord = { version: 1, ...facts, host, left: false };
  await writeRecord(path, record);
  guardian.keep({ pgid: pid, record: path, directory, outputs: outputPaths(directory), withinMs: reattach.withinMs });
  return {
    leave: () => writeRecord(path, { ...record, left: true }),
    async forget() {
      await takeRecord(path);
    },
  };
}

/** Equal for programs that are started in the same way. */
export function fingerprintOf(program: PluginProgram, directory: string): string {
  const { command, cwd = process.cwd(), env, inheritEnv, checksum } = program;
  const args = program.args({ directory });
  const facts = [command, args, cwd, Object.entries(env).sort(), inheritEnv, Object.entries(checksum).sort()];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}
