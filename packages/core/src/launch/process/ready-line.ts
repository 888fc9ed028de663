import { parseReadyObject } from "./ready-line-schema.ts";

/** No ready line is longer; longer output is not even parsed. */
const maxLength = 2048;

/** The line, without its line ending, by which a plugin tells its launcher on stdout where it accepts calls. */
export function formatReadyLine(endpoint: string): string {
  return JSON.stringify({ cpg: "ready", version: 1, endpoint });
}

/**
 * The endpoint that a line of stdout announces, or undefined when it is any other line. Whether the endpoint is one that
 * the plugin may announce is for the caller to judge (`acceptsEndpoint`).
 */
export function parseReadyLine(line: string): string | undefined {
  if (line.length > maxLength || !line.startsWith("{")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined; // ordinary output that begins with a brace
  }
  return parseReadyObject(value)?.endpoint;
}

/**
 * Whether a launched plugin may announce `endpoint`: the socket it was given, or HTTP on a loopback address, at whatever
 * port it took. Anything else would let it send the host's calls elsewhere.
 */
export function acceptsEndpoint(endpoint: string, socketPath: string | undefined): boolean {
  if (endpoint.startsWith("unix:")) return socketPath !== undefined && endpoint === `unix:${socketPath}`;
  return loopbackUrl.test(endpoint) && URL.canParse(endpoint) && new URL(endpoint).port !== "0";
}

const loopbackUrl = /^https?:\/\/(?:127\.0\.0\.1|localhost|\[::1\]):[1-9]\d{0,4}$/;
