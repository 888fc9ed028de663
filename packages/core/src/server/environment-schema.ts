import { z } from "zod";
import { checkEndpoints } from "../discovery/static-endpoints.ts";
import { ENV } from "../protocol/constants.ts";
import { parseEndpoint } from "../wire/endpoint.ts";

/** What a launcher or an orchestrator tells a plugin through its environment. Each part is absent when it is not set. */
export interface LaunchEnvironment {
  readonly port: number | undefined;
  /** Several when it is a list. */
  readonly hostUrl: string | readonly string[] | undefined;
  readonly socketPath: string | undefined;
  readonly controlToken: string | undefined;
  readonly readyLine: boolean;
}

const nonEmpty = (value: unknown): unknown => (value === "" ? undefined : value);
const maxPathBytes = 104;
const maxUrlLength = 2048;
/** The comma before another URL; one inside a URL separates nothing. */
const betweenHosts = /\s*,\s*(?=https?:\/\/|unix:\/)/;

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
      .max(16_384)
      .transform((text) => text.split(betweenHosts))
      .superRefine((hosts, context) => {
        try {
          checkHosts(hosts);
        } catch (error) {
          context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
        }
      })
      .transform((hosts) => (hosts.length === 1 ? hosts[0] : hosts))
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

/** @throws {TypeError} {RangeError} naming the rule. */
function checkHosts(hosts: readonly string[]): void {
  for (const host of hosts) {
    if (host.length > maxUrlLength) throw new RangeError(`must have at most ${maxUrlLength} characters for each host`);
    const endpoint = parseEndpoint(host);
    if (endpoint.kind === "tcp" && endpoint.host.includes(",")) throw new TypeError("must name each host by its URL");
  }
  if (hosts.length > 1) checkEndpoints("the list", hosts);
}

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
