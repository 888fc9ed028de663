import { Code, ConnectError } from "@connectrpc/connect";
import { type HandshakeRequest, HandshakeResponseSchema } from "../gen/connectplugin/v1/handshake_pb.ts";
import type { DeclaredServices } from "../identity/runtime-identity.ts";
import { CORE_PROTOCOL_VERSION, type MagicCookie } from "../protocol/constants.ts";
import {
  checkEndpointPath,
  checkFreeText,
  checkMetadata,
  checkMinVersion,
  checkName,
  checkVersion,
  FIELD_LIMITS,
} from "../protocol/field-rules.ts";
import { invalidField } from "../protocol/wire-error.ts";
import { HandshakeError } from "./handshake-error.ts";
import { askedVersions, describeMismatch, MAX_APP_PROTOCOL_VERSIONS, negotiate } from "./version-negotiation.ts";

const maxRequestedPlugins = 1_000;
const maxDeclarations = 100;

/** @throws {ConnectError} `invalid_argument`. */
export function checkCookie(request: HandshakeRequest, cookie: MagicCookie): void {
  if (request.magicCookieKey !== cookie.key) {
    throw invalidField(
      "magic_cookie_key",
      `must be ${JSON.stringify(cookie.key)}: the caller means another kind of plugin`,
    );
  }
  if (request.magicCookieValue !== cookie.value) {
    throw invalidField(
      "magic_cookie_value",
      `is not the one of ${JSON.stringify(cookie.key)}: configure both sides alike`,
    );
  }
}

/** @throws {ConnectError} `invalid_argument`. */
export function checkCoreVersion({ coreProtocolVersion }: HandshakeRequest): void {
  if (coreProtocolVersion === CORE_PROTOCOL_VERSION) return;
  throw invalidField(
    "core_protocol_version",
    `must be ${CORE_PROTOCOL_VERSION}, the only one this server speaks; the caller asks for ${coreProtocolVersion}`,
  );
}

/**
 * The app protocol version to use.
 * @throws {ConnectError} `failed_precondition`; it tells a caller that understands it which versions we speak.
 */
export function chooseAppVersion(request: HandshakeRequest, ours: readonly number[]): number {
  if (request.appProtocolVersions.length > MAX_APP_PROTOCOL_VERSIONS) {
    throw invalidField("app_protocol_versions", `must name at most ${MAX_APP_PROTOCOL_VERSIONS} versions`);
  }
  const asked = askedVersions(request);
  const version = negotiate(ours, asked);
  if (version !== undefined) return version;
  const message = describeMismatch(ours, asked);
  const cause = new HandshakeError("app-version", message, { ours, theirs: asked });
  const told = {
    desc: HandshakeResponseSchema,
    value: { coreProtocolVersion: CORE_PROTOCOL_VERSION, appProtocolVersions: [...ours] },
  };
  const details = request.appProtocolVersions.length > 0 ? [told] : [];
  throw new ConnectError(message, Code.FailedPrecondition, undefined, details, cause);
}

/** @throws {ConnectError} `invalid_argument`, naming the field. */
export function checkFields(request: HandshakeRequest): void {
  if (request.selfId !== "") checkName("self_id", request.selfId);
  checkFreeText("self_version", request.selfVersion);
  checkMetadata("client_metadata", request.clientMetadata);
  checkCount("requested_plugins", request.requestedPlugins, maxRequestedPlugins);
  // No more than a length: a name that none of our plugins could have is a plugin that we lack.
  for (const [index, name] of request.requestedPlugins.entries()) {
    checkFreeText(`requested_plugins[${index}]`, name, FIELD_LIMITS.nameBytes);
  }
  if (request.declaresServices) checkDeclarations(request);
}

/** What a plugin says of itself, in a handshake or when its host asks. */
type Declarations = Pick<HandshakeRequest, "provides" | "requires">;

/** @throws {ConnectError} `invalid_argument`, naming the field. */
export function checkDeclarations({ provides, requires }: Declarations): void {
  checkCount("provides", provides, maxDeclarations);
  for (const [index, { type, version, path }] of provides.entries()) {
    checkName(`provides[${index}].type`, type);
    checkVersion(`provides[${index}].version`, version);
    checkEndpointPath(`provides[${index}].path`, path);
  }
  checkCount("requires", requires, maxDeclarations);
  for (const [index, { type, minVersion }] of requires.entries()) {
    checkName(`requires[${index}].type`, type);
    checkMinVersion(`requires[${index}].min_version`, minVersion);
  }
}

function checkCount(field: string, entries: readonly unknown[], most: number): void {
  if (entries.length > most) throw invalidField(field, `must have at most ${most} entries, has ${entries.length}`);
}

/** Checked declarations, copied out of their message. */
export function declaredServices({ provides, requires }: Declarations): DeclaredServices {
  return {
    provides: provides.map(({ type, version, path }) => ({ type, version, path })),
    requires: requires.map(({ type, minVersion, requiredForStartup, watchForChanges }) => ({
      type,
      minVersion,
      requiredForStartup,
      watchForChanges,
    })),
  };
}
