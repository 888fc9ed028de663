import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import type { PluginSet } from "../definition/plugin-set.ts";
import {
  type Capability,
  type HandshakeRequestSchema,
  type HandshakeResponse,
  HandshakeResponseSchema,
  HandshakeService,
  type PluginInfo,
} from "../gen/connectplugin/v1/handshake_pb.ts";
import type { DeclaredServices } from "../identity/runtime-identity.ts";
import { within } from "../internal/bounded.ts";
import {
  CORE_PROTOCOL_VERSION,
  DEFAULT_APP_PROTOCOL_VERSION,
  DEFAULT_MAGIC_COOKIE,
  type MagicCookie,
  SERVER_METADATA,
} from "../protocol/constants.ts";
import { checkFacts, checkVersions, type HeldIdentity, receivedIdentity, wantedPlugins } from "./answer-checks.ts";
import { handshakeFailed } from "./handshake-error.ts";
import {
  byPreference,
  checkAppProtocolVersions,
  describeMismatch,
  MAX_APP_PROTOCOL_VERSIONS,
} from "./version-negotiation.ts";

export interface HandshakeOptions {
  /** The plugins to use; the server has to offer all of them. `{}` for a plugin that only registers. */
  readonly plugins: PluginSet;
  /** Default: the cookie of the protocol. */
  readonly magicCookie?: MagicCookie | undefined;
  /** Versions of the application's own protocol that this side speaks. Default [1]. */
  readonly appProtocolVersions?: readonly number[] | undefined;
  /** Name under which this side asks for a runtime identity. Default: none asked for. */
  readonly selfId?: string | undefined;
  /** Free text, at most 64 bytes. */
  readonly selfVersion?: string | undefined;
  /** What this side will register and call. Default: it does not say. */
  readonly declares?: DeclaredServices | undefined;
  /** Free facts for the server. */
  readonly clientMetadata?: Readonly<Record<string, string>> | undefined;
  /** Bound on the handshake, with all its attempts, in ms. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/** What a handshake settled. */
export interface HandshakeResult {
  readonly appProtocolVersion: number;
  /** By name: what was asked for, all of it. */
  readonly plugins: ReadonlyMap<string, PluginInfo>;
  readonly serverMetadata: Readonly<Record<string, string>>;
  /** What the host lends to plugins. */
  readonly capabilities: readonly Capability[];
  /** Undefined without `selfId`, and when the server issues none. */
  readonly identity: HeldIdentity | undefined;
  /** Whether the server announces that it speaks HTTP/2 as well. */
  readonly http2: boolean;
}

/** Most handshakes with a server that names no versions, each asking for another one. */
const maxAttempts = 16;
/** Most characters of a server's message that one of ours repeats. */
const maxQuoted = 200;

/**
 * The client's half of the handshake. The answer is checked before it is believed.
 *
 * A server that knows only its single version refuses any other without naming its own; it is asked for each of ours
 * in turn, highest first, at most 16.
 * @throws {ConnectError} `failed_precondition` when the versions do not fit, `not_found` for plugins that the server
 * lacks, `invalid_argument` for a malformed answer (or what the server says of ours), `unimplemented` when this is no
 * plugin server, `unknown` when the answer makes no sense, `deadline_exceeded` (cause of each: HandshakeError or FieldError); else what the transport throws.
 * {RangeError} naming the option.
 */
export async function shakeHands(transport: Transport, options: HandshakeOptions): Promise<HandshakeResult> {
  const {
    plugins,
    appProtocolVersions = [DEFAULT_APP_PROTOCOL_VERSION],
    timeoutMs = 10_000,
    signal,
    clock = systemClock,
  } = options;
  checkAppProtocolVersions("appProtocolVersions", appProtocolVersions);
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be greater than 0, got ${timeoutMs}`);
  const ours = byPreference(appProtocolVersions);
  const answer = await within(
    clock,
    timeoutMs,
    (attempt) => ask(transport, requestOf(options, ours), ours, attempt),
    () => handshakeFailed("timeout", `no answer to the handshake within ${timeoutMs} ms`, { ours }),
    signal,
  );
  checkVersions(answer, ours);
  checkFacts(answer);
  return {
    appProtocolVersion: answer.appProtocolVersion,
    plugins: wantedPlugins(answer, plugins),
    serverMetadata: answer.serverMetadata,
    capabilities: answer.hostCapabilities,
    identity: options.selfId === undefined ? undefined : receivedIdentity(answer),
    http2: speaksHttp2(answer.serverMetadata),
  };
}

type Request = MessageInitShape<typeof HandshakeRequestSchema>;

function requestOf(options: HandshakeOptions, ours: number[]): Request {
  const { magicCookie = DEFAULT_MAGIC_COOKIE, declares } = options;
  return {
    coreProtocolVersion: CORE_PROTOCOL_VERSION,
    magicCookieKey: magicCookie.key,
    magicCookieValue: magicCookie.value,
    requestedPlugins: Object.keys(options.plugins),
    clientMetadata: { ...options.clientMetadata },
    selfId: options.selfId ?? "",
    selfVersion: options.selfVersion ?? "",
    appProtocolVersions: ours,
    declaresServices: declares !== undefined,
    provides: (declares?.provides ?? []).map(({ type, version, path = "" }) => ({ type, version, path })),
    requires: (declares?.requires ?? []).map(
      ({ type, minVersion = "", requiredForStartup = true, watchForChanges = false }) => ({
        type,
        minVersion,
        requiredForStartup,
        watchForChanges,
      }),
    ),
  };
}

async function ask(
  transport: Transport,
  request: Request,
  ours: readonly number[],
  signal: AbortSignal,
): Promise<HandshakeResponse> {
  const client = createClient(HandshakeService, transport);
  const attempts = ours.slice(0, maxAttempts);
  let refusal: unknown;
  for (const appProtocolVersion of attempts) {
    try {
      return await client.handshake({ ...request, appProtocolVersion }, { signal });
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (error.code === Code.Unimplemented) {
        throw handshakeFailed(
          "no-plugin-server",
          "this is no plugin server: nothing there knows the handshake; check the address",
          { ours, cause: error },
        );
      }
      if (error.code === Code.Unknown || error.code === Code.Internal) {
        throw handshakeFailed(
          "no-usable-answer",
          `no usable answer to the handshake (${error.rawMessage.slice(0, maxQuoted)}): is this the address of a plugin server?`,
          { ours, cause: error },
        );
      }
      if (error.code !== Code.FailedPrecondition) throw error;
      const theirs = toldVersions(error);
      if (theirs !== undefined) {
        throw handshakeFailed("app-version", describeMismatch(theirs, ours), { ours, theirs, cause: error });
      }
      refusal = error;
    }
  }
  throw handshakeFailed(
    "app-version",
    `the server speaks none of the app protocol versions asked for, ${attempts.join(", ")}, and does not name its own ` +
      `(it says: ${ConnectError.from(refusal).rawMessage.slice(0, maxQuoted)}): let one side support a version of the other`,
    { ours, cause: refusal },
  );
}

/** The versions that a server of ours names when it refuses. */
function toldVersions(error: ConnectError): readonly number[] | undefined {
  const [told] = error.findDetails(HandshakeResponseSchema);
  if (told === undefined || told.appProtocolVersions.length === 0) return undefined;
  return told.appProtocolVersions.slice(0, MAX_APP_PROTOCOL_VERSIONS);
}

function speaksHttp2(serverMetadata: Readonly<Record<string, string>>): boolean {
  const versions = Object.hasOwn(serverMetadata, SERVER_METADATA.http)
    ? serverMetadata[SERVER_METADATA.http]
    : undefined;
  return versions?.split(",").some((version) => version.trim() === "2") ?? false;
}
