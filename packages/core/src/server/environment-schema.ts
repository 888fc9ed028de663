import { z } from "zod";
import { ENV } from "../protocol/constants.ts";
import { parseEndpoint } from "../wire/endpoint.ts";

/** What a launcher or an orchestrator tells a plugin through its environment. Each part is absent when it is not set. */
export interface LaunchEnvironment {
  readonly port: number | undefined;
  readonly hostUrl: string | undefined;
  readonly socketPath: string | undefined;
  readonly controlToken: string | undefined;
  readonly readyLine: boolean;
}

const nonEmpty = (value: unknown): unknown => (value === "" ? undefined : value);
const maxPathBytes = 104;

const schema = z.object({
  [ENV.port]: z.preprocess(
    nonEmpty,
    z
      .string()
      .regex(/^\d{1,5}$/, "must be a port number")
      .transform(Number)
      .refine((port) => port <= 65_535, "must be a port number")
      .optional(),
  ),
  [ENV.hostUrl]: z.preprocess(
    nonEmpty,
    z
      .string()
      .max(2048)
      .superRefine((text, context) => {
        try {
          parseEndpoint(text);
        } catch (error) {
          context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
        }
      })
      .optional(),
  ),
  [ENV.socket]: z.preprocess(
    nonEmpty,
    z
      .string()
      .startsWith("/", "must be an absolute path")
      .refine((path) => Buffer.byteLength(path) < maxPathBytes, `must have fewer than ${maxPathBytes} bytes`)
      .optional(),
  ),
  [ENV.controlToken]: z.preprocess(nonEmpty, z.string().min(32).max(4096).optional()),
  [ENV.readyLine]: z.preprocess(nonEmpty, z.literal("1", "must be 1 when set").optional()),
});

/**
 * Reads the variables of a launched plugin.
 * @throws {TypeError} naming the variable and the rule; never its value, which may be a secret.
 */
export function parseLaunchEnvironment(environment: Readonly<Record<string, string | undefined>>): LaunchEnvironment {
  const result = schema.safeParse(environment);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new TypeError(`environment variable ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const { data } = result;
  return {
    port: data[ENV.port],
    hostUrl: data[ENV.hostUrl],
    socketPath: data[ENV.socket],
    controlToken: data[ENV.controlToken],
    readyLine: data[ENV.readyLine] !== undefined,
  };
}
