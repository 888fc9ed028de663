import { isIP } from "node:net";

/** Where a server listens. `url` has no trailing slash and may have a path prefix. */
export type Endpoint =
  | {
      readonly kind: "tcp";
      readonly url: string;
      readonly secure: boolean;
      /** Name or address, an IPv6 address without brackets. */
      readonly host: string;
      readonly port: number;
      /** Whether the host is this machine by its address or the name localhost. */
      readonly loopback: boolean;
    }
  | { readonly kind: "unix"; readonly path: string };

/** Longest path that a Unix socket address holds on every supported system, without its final NUL. */
const maxSocketPathBytes = 103;

/**
 * Reads "http://host:port", "https://host:port", both with an optional path prefix, or "unix:/absolute/path".
 * @throws {TypeError} naming the rule that the text breaks. The text itself is not in the message: it may hold a password.
 */
export function parseEndpoint(text: string): Endpoint {
  return text.startsWith("unix:") ? parseUnix(text.slice("unix:".length)) : parseUrl(text);
}

/** The endpoint as text, for messages and as a key. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === "unix" ? `unix:${endpoint.path}` : endpoint.url;
}

function parseUnix(path: string): Endpoint {
  if (!path.startsWith("/")) throw new TypeError("endpoint must name an absolute path after unix:");
  if (path.includes("\0")) throw new TypeError("endpoint must not contain NUL");
  const bytes = Buffer.byteLength(path);
  if (bytes > maxSocketPathBytes) {
    throw new TypeError(`endpoint must name a path of at most ${maxSocketPathBytes} bytes, this one has ${bytes}`);
  }
  return { kind: "unix", path };
}

function parseUrl(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new TypeError("endpoint must be http://host:port, https://host:port or unix:/absolute/path");
  }
  if (url.username !== "" || url.password !== "") throw new TypeError("endpoint must not contain user or password");
  // URL drops an empty query or fragment, which is as wrong as a full one.
  if (text.includes("?")) throw new TypeError("endpoint must not contain a query");
  if (text.includes("#")) throw new TypeError("endpoint must not contain a fragment");
  if (url.port === "0") throw new TypeError("endpoint must name a port from 1");
  const secure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return {
    kind: "tcp",
    url: url.origin + url.pathname.replace(/\/+$/, ""),
    secure,
    host,
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    loopback: isLoopback(host),
  };
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  if (isIP(host) === 6) return host === "::1" || host.startsWith("::ffff:7f");
  return host === "localhost" || host.endsWith(".localhost");
}
