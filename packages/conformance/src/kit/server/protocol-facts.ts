/** What PROTOCOL.md fixes, as this kit checks it. */

export const cookie = { key: "CONNECT_PLUGIN", value: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e" } as const;
export const coreVersion = 1;
export const appVersion = 1;

/** Lengths in UTF-8 bytes. */
export const limit = {
  name: 128,
  version: 64,
  selfVersion: 64,
  path: 256,
  metadataEntries: 100,
  metadataKey: 256,
  metadataValue: 4096,
} as const;

/** Of the handshake's server_metadata: "1" when /services/{type}/-/ is served. */
export const announcesAnyProvider = "cpg.router";

export const header = {
  runtimeId: "x-plugin-runtime-id",
  authorization: "authorization",
  callerId: "x-plugin-caller-id",
  controlToken: "x-plugin-control-token",
} as const;

const namePattern = /^[a-zA-Z][a-zA-Z0-9_.-]*$/;
const semver =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-((0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$/;

/** What is wrong with a service type or self_id; undefined: nothing. */
export function faultOfName(name: string): string | undefined {
  if (Buffer.byteLength(name) > limit.name) return `has more than ${limit.name} bytes`;
  if (!namePattern.test(name)) return `does not match ${namePattern.source}`;
  return name.includes("..") ? 'has ".." in it' : undefined;
}

export function faultOfVersion(version: string): string | undefined {
  if (Buffer.byteLength(version) > limit.version) return `has more than ${limit.version} bytes`;
  return semver.test(version) ? undefined : "is no semantic version without build metadata";
}

export function faultOfPath(path: string): string | undefined {
  if (Buffer.byteLength(path) > limit.path) return `has more than ${limit.path} bytes`;
  if (!path.startsWith("/") || !path.endsWith("/")) return "does not start and end with /";
  if (path.includes("..") || /[\\?#]/.test(path)) return "has .., \\, ? or # in it";
  if ([...path].some((character) => character < " " || character === "\u007f")) return "has a control character in it";
  return path.startsWith("/connectplugin.") ? "is under /connectplugin." : undefined;
}

export function faultOfMetadata(metadata: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(metadata);
  if (entries.length > limit.metadataEntries) return `has more than ${limit.metadataEntries} entries`;
  for (const [key, value] of entries) {
    if (Buffer.byteLength(key) > limit.metadataKey || !namePattern.test(key)) return `has a bad key`;
    if (Buffer.byteLength(value) > limit.metadataValue || value.includes("\0")) return `has a bad value at ${key}`;
  }
  return undefined;
}
