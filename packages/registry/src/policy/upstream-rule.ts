import type { RuntimeIdentity } from "@cpg/core";
import { createAddressList } from "@cpg/core/extension";

/** A place that the host might connect to for a plugin. */
export interface UpstreamCandidate {
  /** Undefined: the host itself asks, for a plugin that it attaches. */
  readonly identity: RuntimeIdentity | undefined;
  /** Name or address as base_url has it, in lower case. */
  readonly host: string;
  /** What that means: one IP address. */
  readonly address: string;
  readonly port: number;
  readonly secure: boolean;
}

/**
 * Widens or narrows where the host connects. A rule speaks of the places that fit all of its fields; a field that is
 * left out fits every place.
 */
export interface UpstreamRule {
  /** By self_id. */
  readonly plugins?: readonly string[] | undefined;
  /** Names in base_url, such as "logger.internal" or "*.svc.cluster.local", whatever they resolve to. */
  readonly hosts?: readonly string[] | undefined;
  /** IP addresses and CIDR blocks, such as "10.0.0.0/8". */
  readonly addresses?: readonly string[] | undefined;
  /** Such as 8080 or "9000-9099". */
  readonly ports?: readonly (number | string)[] | undefined;
}

/** A rule in code. Undefined: it has no opinion. What it throws denies. */
export type UpstreamRuleFunction = (candidate: UpstreamCandidate) => "allow" | "deny" | undefined;

export type UpstreamMatcher = (candidate: UpstreamCandidate) => boolean;

const fields = ["plugins", "hosts", "addresses", "ports"];

/** @throws {TypeError} naming the rule and the field. */
export function compileUpstreamRule(rule: UpstreamRule, effect: "allow" | "deny", place: string): UpstreamMatcher {
  const unknown = Object.keys(rule).find((field) => !fields.includes(field));
  if (unknown !== undefined) throw new TypeError(`${place} must not have a field "${unknown}"`);
  for (const [field, entries] of Object.entries(rule)) {
    if (entries?.length === 0) throw new TypeError(`${place}.${field} must not be empty`);
  }
  const { plugins, hosts, addresses, ports } = rule;
  if (effect === "allow" && hosts === undefined && addresses === undefined) {
    throw new TypeError(`${place} must name hosts or addresses: to allow all, say so ("0.0.0.0/0", "::/0")`);
  }
  if (effect === "deny" && fields.every((field) => rule[field as keyof UpstreamRule] === undefined)) {
    throw new TypeError(`${place} must have at least one field`);
  }
  const fitsHost = hosts && readHosts(hosts, `${place}.hosts`);
  const fitsAddress = addresses && createAddressList(`${place}.addresses`, addresses);
  const fitsPort = ports && readPorts(ports, `${place}.ports`);
  return ({ identity, host, address, port }) =>
    (plugins === undefined || (identity !== undefined && plugins.includes(identity.selfId))) &&
    (fitsHost === undefined || fitsHost(host)) &&
    (fitsAddress === undefined || fitsAddress(address)) &&
    (fitsPort === undefined || fitsPort(port));
}

function readHosts(hosts: readonly string[], place: string): (host: string) => boolean {
  const names = new Set<string>();
  const suffixes: string[] = [];
  for (const entry of hosts) {
    const name = entry.toLowerCase().replace(/\.$/, "");
    if (!/^(?:\*\.)?[a-z0-9_.-]+$/.test(name)) {
      throw new TypeError(`${place} must hold names such as "logger" or "*.example.org", got ${JSON.stringify(entry)}`);
    }
    if (name.startsWith("*")) suffixes.push(name.slice(1));
    else names.add(name);
  }
  return (host) => names.has(host) || suffixes.some((suffix) => host.endsWith(suffix) && host !== suffix);
}

function readPorts(ports: readonly (number | string)[], place: string): (port: number) => boolean {
  const ranges = ports.map((entry) => {
    const [first = Number.NaN, last = first, ...rest] = String(entry).split("-").map(portOf);
    if (rest.length === 0 && first <= last) return { first, last };
    throw new TypeError(`${place} must hold ports from 1 to 65535, or ranges such as "9000-9099", got ${entry}`);
  });
  return (port) => ranges.some(({ first, last }) => first <= port && port <= last);
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port >= 1 && port <= 65_535 ? port : Number.NaN;
}
