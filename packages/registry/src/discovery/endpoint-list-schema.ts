import { Code, ConnectError } from "@connectrpc/connect";
import { formatEndpoint, parseEndpoint } from "@cpg/core";
import { z } from "zod";

const maxEndpoints = 100;

const endpoint = z
  .string()
  .max(2_048)
  .superRefine((text, context) => {
    try {
      parseEndpoint(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    }
  });

const schema: z.ZodType<string[]> = z.array(endpoint).max(maxEndpoints);

/**
 * Reads a JSON array of endpoints, such as `["http://10.0.0.1:8080", "unix:/run/kv.sock"]`. Of those that mean the same
 * place only the first counts.
 * @throws {ConnectError} `invalid_argument`, naming the place in the text and the rule.
 */
export function parseEndpointList(text: string): readonly string[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (reason) {
    const message = "the endpoints must be a JSON array of strings: this is no JSON";
    throw new ConnectError(message, Code.InvalidArgument, undefined, undefined, reason);
  }
  const result = schema.safeParse(data);
  if (!result.success) {
    const [issue] = result.error.issues;
    const where = issue?.path.map((key) => `[${String(key)}]`).join("") ?? "";
    throw new ConnectError(`endpoints${where}: ${issue?.message}`, Code.InvalidArgument);
  }
  const places = new Map<string, string>();
  for (const one of result.data) {
    const place = formatEndpoint(parseEndpoint(one));
    if (!places.has(place)) places.set(place, one);
  }
  return [...places.values()];
}
