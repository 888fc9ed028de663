import { isIP } from "node:net";
import { checkFreeText, invalidField } from "@cpg/core/extension";
import { checkRoutedPath } from "../router/routed-path.ts";
import { canonicalAddress } from "./ip-address.ts";

/** Where a plugin says it listens. */
export interface BaseUrl {
  readonly secure: boolean;
  /** A name in lower case without a last dot, or an IP address in its canonical spelling. */
  readonly host: string;
  /** The host is an address. */
  readonly literal: boolean;
  readonly port: number;
  /** For Host and :authority. */
  readonly authority: string;
  /** Without a last "/"; "" as a rule. */
  readonly basePath: string;
}

const maxUrlBytes = 2048;
const maxNameBytes = 253;
const shape = /^(?<scheme>https?):\/\/(?<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?<port>\d{1,5}))?(?<path>\/.*)?$/is;
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** What parsers of URLs take for an IPv4 address in one of its odd spellings: 127.1, 0x7f000001. */
const numeric = /^(?:\d+|0x[0-9a-f]*)$/;

/**
 * Reads a URL below which services are served. Only what every program reads in the same way passes: no user, query or
 * fragment, a plain host, a path that `checkRoutedPath` takes. The text itself is in no message: it may hold a password.
 * @throws {ConnectError} `invalid_argument`, naming the field and the rule; `permission_denied` for a path below
 * /connectplugin.
 */
export function readBaseUrl(field: string, text: string): BaseUrl {
  checkFreeText(field, text, maxUrlBytes);
  if (/[?#]/.test(text)) throw invalidField(field, "must not contain a query or fragment");
  const groups = shape.exec(text)?.groups;
  if (groups === undefined) {
    if (text.includes("@")) throw invalidField(field, "must not contain user or password");
    throw invalidField(field, "must be http://host:port or https://host:port, with a path if need be");
  }
  const { scheme = "", path = "" } = groups;
  const spelled = groups.host?.toLowerCase() ?? "";
  const host = readHost(field, spelled);
  const secure = scheme.toLowerCase() === "https";
  const defaultPort = secure ? 443 : 80;
  const port = groups.port === undefined ? defaultPort : Number(groups.port);
  if (port < 1 || port > 65_535) throw invalidField(field, "must name a port from 1 to 65535");
  return {
    secure,
    host,
    literal: isIP(host) !== 0,
    port,
    authority: port === defaultPort ? spelled : `${spelled}:${port}`,
    basePath: readBasePath(field, path),
  };
}

function readHost(field: string, spelled: string): string {
  const name = spelled.replace(/^\[|\]$|\.$/g, "");
  const address = canonicalAddress(name);
  if (address !== undefined && (isIP(name) === 6) === spelled.startsWith("[")) {
    if (!isUnspecified(address)) return address;
    throw invalidField(field, `must not name ${address}: it means every address`);
  }
  const labels = name.split(".");
  const isName = !numeric.test(labels.at(-1) ?? "") && labels.every((part) => label.test(part));
  if (isName && name.length <= maxNameBytes) return name;
  throw invalidField(field, "must name a host, or an IP address in its usual spelling");
}

/** Addresses of "this network" mean the machine itself where they mean anything. */
export function isUnspecified(address: string): boolean {
  return address === "::" || address.startsWith("0.");
}

function readBasePath(field: string, path: string): string {
  const basePath = path.replace(/\/$/, "");
  if (basePath.endsWith("/")) throw invalidField(field, "must not have an empty segment");
  if (basePath !== "") checkRoutedPath(field, basePath.slice(1));
  return basePath;
}
