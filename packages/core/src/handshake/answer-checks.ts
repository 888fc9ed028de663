import { durationMs } from "@bufbuild/protobuf/wkt";
import type { PluginSet } from "../definition/plugin-set.ts";
import type { HandshakeResponse, PluginInfo } from "../gen/connectplugin/v1/handshake_pb.ts";
import { hideProperty } from "../internal/hide-property.ts";
import { CORE_PROTOCOL_VERSION } from "../protocol/constants.ts";
import { checkFreeText, checkMetadata, FIELD_LIMITS } from "../protocol/field-rules.ts";
import { invalidField } from "../protocol/wire-error.ts";
import { handshakeFailed } from "./handshake-error.ts";
import { describeMismatch } from "./version-negotiation.ts";

const maxPlugins = 1_000;
const maxEntries = 1_000;
const maxUrlBytes = 2_048;
const maxRuntimeIdBytes = 256;
const maxTokenBytes = 1_024;
/** Both are sent in headers. */
const visibleAscii = /^[\x21-\x7e]+$/;

/** @throws {ConnectError} `failed_precondition`. */
export function checkVersions(answer: HandshakeResponse, ours: readonly number[]): void {
  if (answer.coreProtocolVersion !== CORE_PROTOCOL_VERSION) {
    throw handshakeFailed(
      "core-version",
      `the server speaks version ${answer.coreProtocolVersion} of the plugin protocol, this side ${CORE_PROTOCOL_VERSION}: ` +
        "upgrade the older of the two",
      { ours: [CORE_PROTOCOL_VERSION], theirs: [answer.coreProtocolVersion] },
    );
  }
  if (!ours.includes(answer.appProtocolVersion)) {
    const theirs = [answer.appProtocolVersion];
    throw handshakeFailed("app-version", describeMismatch(theirs, ours), { ours, theirs });
  }
}

/**
 * The plugins that were asked for, out of the answer. Others are ignored.
 * @throws {ConnectError} `not_found` naming those the server lacks; `failed_precondition` for a plugin that is another
 * service there; `invalid_argument` for a malformed answer.
 */
export function wantedPlugins(answer: HandshakeResponse, wanted: PluginSet): Map<string, PluginInfo> {
  checkCount("plugins", answer.plugins, maxPlugins);
  const found = new Map<string, PluginInfo>();
  for (const [index, info] of answer.plugins.entries()) {
    const plugin = Object.hasOwn(wanted, info.name) ? wanted[info.name] : undefined;
    if (plugin === undefined) continue;
    const field = answerField(`plugins[${index}]`);
    if (found.has(info.name)) throw invalidField(field, `names the plugin "${info.name}" a second time`);
    checkPluginInfo(field, info);
    // Servers of others may leave the path out.
    if (info.servicePath !== "" && info.servicePath !== plugin.servicePath) {
      throw handshakeFailed(
        "service-differs",
        `plugin "${info.name}" is ${info.servicePath} at the server and ${plugin.servicePath} here: ` +
          "build both sides from the same definition",
        { ours: [plugin.servicePath], theirs: [info.servicePath] },
      );
    }
    found.set(info.name, info);
  }
  const missing = Object.keys(wanted).filter((name) => !found.has(name));
  if (missing.length === 0) return found;
  const offers = found.size === 0 ? "none of those asked for" : `only ${quoted(found.keys())} of those asked for`;
  throw handshakeFailed(
    "plugins-missing",
    `the server lacks ${quoted(missing)}; it offers ${offers}: check its version, or the names in plugins`,
    { ours: Object.keys(wanted), theirs: [...found.keys()] },
  );
}

function checkPluginInfo(field: string, { version, servicePath, provides, requires }: PluginInfo): void {
  checkFreeText(`${field}.version`, version);
  checkFreeText(`${field}.service_path`, servicePath, FIELD_LIMITS.pathBytes);
  checkCount("plugins.provides", provides, maxEntries);
  for (const { type, version, path } of provides) {
    checkFreeText(`${field}.provides.type`, type, FIELD_LIMITS.nameBytes);
    checkFreeText(`${field}.provides.version`, version);
    checkFreeText(`${field}.provides.path`, path, FIELD_LIMITS.pathBytes);
  }
  checkCount("plugins.requires", requires, maxEntries);
  for (const { type, minVersion } of requires) {
    checkFreeText(`${field}.requires.type`, type, FIELD_LIMITS.nameBytes);
    checkFreeText(`${field}.requires.min_version`, minVersion);
  }
}

/** @throws {ConnectError} `invalid_argument`. */
export function checkFacts({ serverMetadata, hostCapabilities }: HandshakeResponse): void {
  checkMetadata(answerField("server_metadata"), serverMetadata);
  checkCount("host_capabilities", hostCapabilities, maxEntries);
  for (const { type, version, endpoint } of hostCapabilities) {
    checkFreeText(answerField("host_capabilities.type"), type, FIELD_LIMITS.nameBytes);
    checkFreeText(answerField("host_capabilities.version"), version);
    checkFreeText(answerField("host_capabilities.endpoint"), endpoint, maxUrlBytes);
  }
}

/** A runtime identity as its holder knows it. */
export interface HeldIdentity {
  readonly runtimeId: string;
  /** The secret that proves it. Not enumerable: logs do not show it. */
  readonly runtimeToken: string;
  /** Time to live; undefined when the host did not tell. */
  readonly ttlMs: number | undefined;
}

/** @throws {ConnectError} `invalid_argument`; never with the token in it. */
export function receivedIdentity(answer: HandshakeResponse): HeldIdentity | undefined {
  const { runtimeId, runtimeToken, runtimeTokenTtl } = answer;
  if (runtimeId === "" && runtimeToken === "") return undefined;
  checkCredential("runtime_id", runtimeId, maxRuntimeIdBytes);
  checkCredential("runtime_token", runtimeToken, maxTokenBytes);
  const ttlMs = runtimeTokenTtl === undefined ? undefined : durationMs(runtimeTokenTtl);
  if (ttlMs !== undefined && !(ttlMs > 0)) {
    throw invalidField(answerField("runtime_token_ttl"), "must be longer than 0");
  }
  return hideProperty({ runtimeId, runtimeToken, ttlMs }, "runtimeToken");
}

function checkCredential(field: string, value: string, maxBytes: number): void {
  checkFreeText(answerField(field), value, maxBytes);
  if (!visibleAscii.test(value)) throw invalidField(answerField(field), "must be visible ASCII, and not empty");
}

function checkCount(field: string, entries: readonly unknown[], most: number): void {
  if (entries.length > most) throw invalidField(answerField(field), `must have at most ${most} entries`);
}

function answerField(field: string): string {
  return `answer of the server: ${field}`;
}

function quoted(names: Iterable<string>): string {
  return [...names].map((name) => `"${name}"`).join(", ");
}
