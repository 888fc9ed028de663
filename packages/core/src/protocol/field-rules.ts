import type { MagicCookie } from "./constants.ts";
import { invalidField } from "./wire-error.ts";

/** Limits of PROTOCOL.md on untrusted fields. Lengths count UTF-8 bytes. */
export const FIELD_LIMITS = {
  nameBytes: 128,
  versionBytes: 64,
  freeTextVersionBytes: 64,
  pathBytes: 256,
  metadataEntries: 100,
  metadataKeyBytes: 256,
  metadataValueBytes: 4096,
} as const;

const namePattern = /^[a-zA-Z][a-zA-Z0-9_.-]*$/;
// https://semver.org/#backusnaur-form-grammar-for-valid-semver-versions, without build metadata.
const versionPattern =
  /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const unsafePathCharacter = /[\u0000-\u001f\u007f\\?#]/;

/** A service type or self_id. @throws {ConnectError} `invalid_argument`. */
export function checkName(field: string, value: string): void {
  checkBytes(field, value, FIELD_LIMITS.nameBytes);
  if (!namePattern.test(value)) throw invalidField(field, `must match ${namePattern.source}`);
  if (value.includes("..")) throw invalidField(field, 'must not contain ".."');
}

/** A semantic version. @throws {ConnectError} `invalid_argument`. */
export function checkVersion(field: string, value: string): void {
  checkBytes(field, value, FIELD_LIMITS.versionBytes);
  if (!versionPattern.test(value)) {
    throw invalidField(field, "must be a semantic version without build metadata, such as 1.2.3");
  }
  // Beyond it nobody can compare them exactly.
  const [core = ""] = value.split("-");
  if (core.split(".").some((number) => !Number.isSafeInteger(Number(number)))) {
    throw invalidField(field, `must have numbers up to ${Number.MAX_SAFE_INTEGER}`);
  }
}

/** A least version: empty for any, else one semantic version. @throws {ConnectError} `invalid_argument`. */
export function checkMinVersion(field: string, value: string): void {
  if (value !== "") checkVersion(field, value);
}

/** self_version: free text. @throws {ConnectError} `invalid_argument`. */
export function checkFreeText(
  field: string,
  value: string,
  maxBytes: number = FIELD_LIMITS.freeTextVersionBytes,
): void {
  checkBytes(field, value, maxBytes);
}

/** The path below which a plugin serves a service. @throws {ConnectError} `invalid_argument`. */
export function checkEndpointPath(field: string, value: string): void {
  checkBytes(field, value, FIELD_LIMITS.pathBytes);
  if (!value.startsWith("/") || !value.endsWith("/")) throw invalidField(field, "must start and end with /");
  if (unsafePathCharacter.test(value)) {
    throw invalidField(field, "must not contain \\, ?, # or control characters");
  }
  if (value.includes("..")) throw invalidField(field, 'must not contain ".."');
  if (value.startsWith("/connectplugin.")) throw invalidField(field, "must not lie under /connectplugin.");
}

/** A metadata map. @throws {ConnectError} `invalid_argument`, naming the entry. */
export function checkMetadata(field: string, metadata: Readonly<Record<string, string>>): void {
  const entries = Object.entries(metadata);
  if (entries.length > FIELD_LIMITS.metadataEntries) {
    throw invalidField(field, `must have at most ${FIELD_LIMITS.metadataEntries} entries, has ${entries.length}`);
  }
  for (const [key, value] of entries) {
    checkBytes(`${field} key`, key, FIELD_LIMITS.metadataKeyBytes);
    if (!namePattern.test(key)) throw invalidField(`${field} key`, `must match ${namePattern.source}`);
    checkBytes(`${field}[${key}]`, value, FIELD_LIMITS.metadataValueBytes);
  }
}

/** A cookie as this side is configured with it. @throws {TypeError} naming the part. */
export function checkMagicCookie(option: string, { key, value }: MagicCookie): void {
  for (const [part, text] of Object.entries({ key, value })) {
    if (typeof text !== "string" || text === "" || text.includes("\0")) {
      throw new TypeError(`${option}.${part} must be a string that is not empty and holds no NUL`);
    }
  }
}

function checkBytes(field: string, value: string, maxBytes: number): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > maxBytes) throw invalidField(field, `must have at most ${maxBytes} bytes, has ${bytes}`);
  if (value.includes("\0")) throw invalidField(field, "must not contain NUL");
}
