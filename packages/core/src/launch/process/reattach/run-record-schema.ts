import { z } from "zod";

/** What one host notes for the next one about a plugin that runs. */
export interface RunRecord {
  readonly version: 1;
  readonly plugin: string;
  /** Of the plugin, which leads a group of its own; with its start, as `processStart` tells it. */
  readonly pid: number;
  readonly start: string;
  /** Secret: what proves the host to the plugin, and the plugin to the host. */
  readonly controlToken: string;
  /** Holds its socket and the pipes that it writes to. */
  readonly directory: string;
  /** Of the program and how it was started. */
  readonly fingerprint: string;
  /** The host that has it. */
  readonly host: { readonly pid: number; readonly start: string };
  /** The host has given it up. */
  readonly left: boolean;
}

const pid = z.int().min(2);
const start = z.string().min(1).max(256);

const schema: z.ZodType<RunRecord> = z.strictObject({
  version: z.literal(1),
  plugin: z.string().max(4_096),
  pid,
  start,
  controlToken: z.string().min(32).max(4_096),
  directory: z.string().min(1).max(4_096),
  fingerprint: z.string().length(64),
  host: z.strictObject({ pid, start }),
  left: z.boolean(),
});

/** Undefined for anything that is no record of ours. */
export function parseRunRecord(json: string): RunRecord | undefined {
  try {
    const result = schema.safeParse(JSON.parse(json));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
