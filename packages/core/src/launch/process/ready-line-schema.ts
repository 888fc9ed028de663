import { z } from "zod";

/** What a plugin of ours says on stdout when it accepts calls. */
export interface ReadyLine {
  readonly cpg: "ready";
  readonly version: 1;
  /** "unix:/path" or "http://127.0.0.1:PORT". */
  readonly endpoint: string;
}

const schema: z.ZodType<ReadyLine> = z.object({
  cpg: z.literal("ready"),
  version: z.literal(1),
  endpoint: z.string().max(1024),
});

/** The ready line that `value` is, or undefined when it is something else. */
export function parseReadyObject(value: unknown): ReadyLine | undefined {
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}
