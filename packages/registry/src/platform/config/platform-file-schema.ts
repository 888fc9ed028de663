import { Code, ConnectError } from "@connectrpc/connect";
import { z } from "zod";
import type { PlatformFile, PlatformFilePlugin } from "./platform-file.ts";

const text = z.string().min(1).max(4_096);
const texts = z.array(text).max(1_000);
const ms = z
  .number()
  .positive()
  .max(2 ** 31 - 1);
const msOrNone = z
  .number()
  .min(0)
  .max(2 ** 31 - 1);
const count = z.int().min(1);

const listen = z.union([
  z.strictObject({ port: z.int().min(0).max(65_535), host: text.optional() }),
  z.strictObject({ socketPath: text, mode: z.int().min(0).max(0o777).optional() }),
]);

const restart = z.strictObject({
  backoff: z
    .strictObject({
      initialMs: ms.optional(),
      maxMs: ms.optional(),
      factor: z.number().min(1).optional(),
      jitter: z.enum(["none", "full", "equal", "decorrelated"]).optional(),
    })
    .optional(),
  maxRestarts: z.int().min(0).optional(),
  windowMs: ms.optional(),
  stableMs: ms.optional(),
});

const probe = z.strictObject({ intervalMs: ms.optional(), timeoutMs: ms.optional(), failures: count.optional() });

const processOptions = {
  args: z.array(z.string()).max(1_000).optional(),
  cwd: text.optional(),
  env: z.record(text, z.string()).optional(),
  inheritEnv: texts.optional(),
  transport: z.enum(["unix", "tcp"]).optional(),
  ready: z.enum(["line", "any"]).optional(),
  checksum: z.record(text, z.string().regex(/^[0-9a-f]{64}$/i, "must be 64 hex digits")).optional(),
  maxLineBytes: z.int().min(256).optional(),
  maxLinesPerSecond: count.optional(),
  reattach: z.strictObject({ directory: text, withinMs: ms.max(3_600_000).optional() }).optional(),
};

const paths = z.union([z.literal(true), texts]);
const permissions = z.strictObject({
  fsRead: paths.optional(),
  fsWrite: paths.optional(),
  childProcess: z.boolean().optional(),
  worker: z.boolean().optional(),
  addons: z.boolean().optional(),
  wasi: z.boolean().optional(),
});

const provides = z.array(z.strictObject({ type: text, version: text, path: text })).max(1_000);
const requires = z
  .array(
    z.strictObject({
      type: text,
      minVersion: z.string().optional(),
      requiredForStartup: z.boolean().optional(),
      watchForChanges: z.boolean().optional(),
    }),
  )
  .max(1_000);

const plugin: z.ZodType<PlatformFilePlugin> = z
  .strictObject({
    id: text,
    optional: z.boolean().optional(),
    restart: restart.optional(),
    probe: z.union([z.literal(false), probe]).optional(),
    readyTimeoutMs: ms.optional(),
    node: z
      .strictObject({ entry: text, nodeArgs: texts.optional(), permissions: permissions.optional(), ...processOptions })
      .optional(),
    process: z.strictObject({ command: text, ...processOptions }).optional(),
    serves: texts.min(1).optional(),
    foreign: z
      .strictObject({
        selfId: text,
        registers: z.enum(["itself", "host"]),
        provides: provides.optional(),
        requires: requires.optional(),
      })
      .optional(),
    endpoint: text.optional(),
    attach: z
      .strictObject({
        controlTokenFile: text.optional(),
        selfId: text.optional(),
        selfVersion: z.string().optional(),
        registerWaitMs: msOrNone.optional(),
        callTimeoutMs: ms.optional(),
      })
      .optional(),
    shutdown: z.boolean().optional(),
    provides: provides.optional(),
    requires: requires.optional(),
  })
  .superRefine((entry, context) => {
    const refuse = (message: string, ...path: string[]) => context.addIssue({ code: "custom", message, path });
    const given = (["serves", "foreign", "endpoint"] as const).filter((kind) => entry[kind] !== undefined);
    if (given.length !== 1) {
      refuse(`must have exactly one of serves, foreign and endpoint, has ${given.join(", ") || "none"}`);
      return;
    }
    const [kind] = given;
    const launches = (["node", "process"] as const).filter((how) => entry[how] !== undefined);
    const expected = kind === "endpoint" ? 0 : 1;
    if (launches.length !== expected) {
      refuse(expected === 1 ? "must have exactly one of node and process" : "is not launched: no node, no process");
    }
    for (const field of ["attach", "shutdown", "provides"] as const) {
      if (kind !== "endpoint" && entry[field] !== undefined) refuse("is for plugins with an endpoint only", field);
    }
    if (kind === "foreign" && entry.requires !== undefined) refuse("belongs into foreign", "requires");
  });

const schema: z.ZodType<PlatformFile> = z.strictObject({
  host: z
    .strictObject({
      listen: listen.optional(),
      publicUrl: text.optional(),
      graceMs: msOrNone.optional(),
      identityTtlMs: ms.optional(),
    })
    .optional(),
  startConcurrency: count.optional(),
  maxPlugins: count.optional(),
  plugins: z.array(plugin).max(10_000).optional(),
});

/**
 * Reads the text of a configuration file.
 * @throws {ConnectError} `invalid_argument`, naming the path to the value and the rule, such as
 * "plugins[1].node.entry: …"; never a value, which may be a secret.
 */
export function parsePlatformFile(json: string): PlatformFile {
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch (reason) {
    // The error of JSON.parse quotes the text, which may be a secret; where it is tells nothing.
    const [place = ""] = /\(line \d+ column \d+\)/.exec(reason instanceof Error ? reason.message : "") ?? [];
    throw new ConnectError(`it is no JSON ${place}`.trimEnd(), Code.InvalidArgument);
  }
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const { path, message } = innermost(result.error.issues);
  throw new ConnectError(`${pathText(path) || "the top level"}: ${message}`, Code.InvalidArgument);
}

type Issue = z.core.$ZodIssue;

/** The first issue; of several choices, the first one of that which is missed by the least. */
function innermost([issue]: readonly Issue[], before: readonly PropertyKey[] = []): Pick<Issue, "path" | "message"> {
  const path = [...before, ...(issue?.path ?? [])];
  if (issue?.code !== "invalid_union") return { path, message: issue?.message ?? "" };
  const [closest = []] = issue.errors.toSorted((a, b) => a.length - b.length);
  return closest.length === 0 ? { path, message: issue.message } : innermost(closest, path);
}

/** Such as "plugins[1].node.entry". */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "");
}
