import { isIP } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { callListener, isLoopbackAddress } from "@cpg/core/extension";
import type { Peer } from "@cpg/resilience";
import type { HttpUpstream, Upstream, UpstreamHttp } from "../router/upstream.ts";
import { type BaseUrl, isUnspecified, readBaseUrl } from "./base-url.ts";
import { decideUpstream, type UpstreamReason } from "./decide-upstream.ts";
import { canonicalAddress } from "./ip-address.ts";
import { boundLookUp, type LookUp, systemLookUp } from "./name-lookups.ts";
import { createOwnPlaces, type HostPlace, interfaceAddresses } from "./own-places.ts";
import { upstreamDenied } from "./upstream-denied-error.ts";
import { upstreamHttp } from "./upstream-http.ts";
import type { UpstreamPolicy } from "./upstream-policy.ts";
import type { UpstreamCandidate, UpstreamRule, UpstreamRuleFunction } from "./upstream-rule.ts";
import { createUpstreamRules } from "./upstream-rules.ts";

/** One decision about one address, told after it was made. */
export interface UpstreamDecision {
  readonly candidate: UpstreamCandidate;
  readonly allowed: boolean;
  readonly reason: UpstreamReason;
}

/** What the user of a host says about where it connects. */
export interface UpstreamOptions {
  /** Places beside a plugin's own address. Default: none. */
  readonly allow?: readonly UpstreamRule[] | undefined;
  /** Places where the host does not connect, whatever else allows them. Default: none. */
  readonly deny?: readonly UpstreamRule[] | undefined;
  /** A rule in code beside them: what it denies is denied. Default: none. */
  readonly decide?: UpstreamRuleFunction | undefined;
  /** Whether base_url has to be https: "required", or only for other machines. Default "optional". */
  readonly https?: "optional" | "beyond-this-machine" | "required" | undefined;
  /** Resolves a name to IP addresses, once for each registration. Default: as this machine does. */
  readonly lookUp?: LookUp | undefined;
  /** Hears of each decision. What it throws goes to `onError`. Default: nobody. */
  readonly onDecision?: ((decision: UpstreamDecision) => unknown) | undefined;
}

export interface UpstreamPolicyOptions extends UpstreamOptions {
  /** Where the host itself is. */
  readonly host: HostPlace;
  /** Where a plugin of this runtime id is that the host launched or attached. Default: it has none of its own. */
  readonly known?: ((runtimeId: string) => Upstream | undefined) | undefined;
  /** IP addresses of this machine beside loopback, in canonical spelling. Default: those of its interfaces. */
  readonly interfaces?: (() => readonly string[]) | undefined;
  /** Hears what rules and observers throw. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface HostUpstreamPolicy extends UpstreamPolicy {
  /**
   * Where a plugin is of which the host itself knows the URL: no rule is asked. Still never the host's own listener.
   * @throws {ConnectError} as `resolve`.
   */
  settle(url: string, signal: AbortSignal): Promise<HttpUpstream>;
}

const field = "metadata[base_url]";
const maxAddresses = 64;

/**
 * Where the host may connect. By default to the address that a plugin registers from; for a plugin on loopback, or on a
 * Unix socket of the host, to any address of this machine; in no case to the host's own listener. A name is resolved
 * once, and its addresses are decided about, not the name: the one that is allowed is connected to from then on. Of several
 * the plugin's own comes first, then IPv4. A plugin that the host launched or attached is where the host knows it to be.
 * @throws {TypeError} naming the rule and the field.
 */
export function createUpstreamPolicy(options: UpstreamPolicyOptions): HostUpstreamPolicy {
  const { https = "optional", onDecision, onError = () => {}, known = () => undefined } = options;
  if (!["optional", "beyond-this-machine", "required"].includes(https)) {
    throw new TypeError(`https must be "optional", "beyond-this-machine" or "required", got ${JSON.stringify(https)}`);
  }
  const lookUp = boundLookUp(options.lookUp ?? systemLookUp);
  const places = createOwnPlaces(options.host, lookUp, options.interfaces ?? interfaceAddresses);
  const rulingOn = createUpstreamRules(options, onError);

  const addressesOf = async ({ host, literal }: BaseUrl, from: string, signal: AbortSignal): Promise<string[]> => {
    if (literal) return [host];
    let found: readonly string[];
    try {
      found = await lookUp(host, signal);
    } catch (reason) {
      signal.throwIfAborted();
      if (reason instanceof ConnectError) throw reason;
      throw new ConnectError(`the host of ${from} cannot be resolved`, Code.Unavailable, undefined, undefined, reason);
    }
    const addresses = new Set(found.slice(0, maxAddresses).flatMap((address) => canonicalAddress(address) ?? []));
    const usable = [...addresses].filter((address) => !isUnspecified(address));
    if (usable.length === 0) throw new ConnectError(`the host of ${from} has no address`, Code.Unavailable);
    return usable;
  };

  const choose = async (url: BaseUrl, from: string, identity: RuntimeIdentity | undefined, signal: AbortSignal) => {
    const { host, port, secure } = url;
    const addresses = await addressesOf(url, from, signal);
    const own = await places.ownAmong(host, addresses, port, signal);
    const peer = identity?.peer;
    const peerAddress = peer?.network === "tcp" ? canonicalAddress(peer.address ?? "") : undefined;
    const local = isOnThisMachine(peer);
    const decide = (address: string) => {
      const here = places.isThisMachine(address);
      const candidate: UpstreamCandidate = { identity, host, address, port, secure };
      const verdict = decideUpstream({
        own: own.has(address),
        lacksTls: !secure && (https === "required" || (https === "beyond-this-machine" && !here)),
        ruled: identity === undefined ? "allow" : rulingOn(candidate),
        peersOwn: address === peerAddress,
        sameMachine: local && here,
      });
      if (onDecision !== undefined) callListener(() => onDecision({ candidate, ...verdict }), onError);
      return { address, ...verdict };
    };
    const decided = byPreference(addresses, peerAddress).map(decide);
    const chosen = decided.find(({ allowed }) => allowed);
    if (chosen === undefined) throw upstreamDenied(from, decided[0]?.reason ?? "elsewhere");
    // Its zone is needed to connect to a link-local address, and only the connection tells it.
    return chosen.address === peerAddress ? (peer?.address ?? chosen.address) : chosen.address;
  };

  return {
    async resolve(identity, metadata, signal) {
      signal.throwIfAborted();
      const place = known(identity.runtimeId);
      if (place !== undefined) return place;
      const { base_url: text } = metadata;
      if (text === undefined) return undefined;
      const url = readBaseUrl(field, text);
      return asUpstream(url, await choose(url, field, identity, signal), upstreamHttp(metadata));
    },
    async settle(text, signal) {
      signal.throwIfAborted();
      const url = readBaseUrl("endpoint", text);
      return asUpstream(url, await choose(url, "endpoint", undefined, signal), "auto");
    },
  };
}

function asUpstream(
  { secure, host, literal, port, authority, basePath }: BaseUrl,
  address: string,
  http: UpstreamHttp,
) {
  const servername = literal ? undefined : host;
  return { kind: "http", secure, address, port, authority, servername, basePath, http } as const satisfies HttpUpstream;
}

function isOnThisMachine(peer: Peer | undefined): boolean {
  if (peer === undefined) return false;
  return peer.network !== "tcp" || isLoopbackAddress(peer.address ?? "");
}

/** Servers of ours listen on 127.0.0.1 unless told otherwise, and "localhost" is ::1 first on many machines. */
function byPreference(addresses: readonly string[], peerAddress: string | undefined): readonly string[] {
  const rank = (address: string): number => (address === peerAddress ? 0 : isIP(address) === 4 ? 1 : 2);
  return addresses.toSorted((a, b) => rank(a) - rank(b));
}
