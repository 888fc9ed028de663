/** Most app protocol versions that one side may name. */
export const MAX_APP_PROTOCOL_VERSIONS = 100;
const maxVersion = 2_147_483_647;

/** The highest version that both sides speak. */
export function negotiate(server: readonly number[], client: readonly number[]): number | undefined {
  const common = client.filter((version) => server.includes(version));
  return common.length === 0 ? undefined : Math.max(...common);
}

/**
 * Checks the versions that this side is configured with.
 * @throws {RangeError} naming the option.
 */
export function checkAppProtocolVersions(option: string, versions: readonly number[]): void {
  if (versions.length === 0 || versions.length > MAX_APP_PROTOCOL_VERSIONS) {
    throw new RangeError(`${option} must name 1 to ${MAX_APP_PROTOCOL_VERSIONS} versions, got ${versions.length}`);
  }
  for (const version of versions) {
    if (!Number.isInteger(version) || version < 1 || version > maxVersion) {
      throw new RangeError(`${option} must hold whole numbers from 1 to ${maxVersion}, got ${version}`);
    }
  }
}

/** The versions that a client asks for: those it lists, or, of a client that knows no list, the single one. */
export function askedVersions(request: {
  readonly appProtocolVersion: number;
  readonly appProtocolVersions: readonly number[];
}): readonly number[] {
  return request.appProtocolVersions.length > 0 ? request.appProtocolVersions : [request.appProtocolVersion];
}

/** Highest first, each once. */
export function byPreference(versions: readonly number[]): number[] {
  return [...new Set(versions)].sort((a, b) => b - a);
}

/** Says, to people on both sides, why there is no common version and what helps. */
export function describeMismatch(server: readonly number[], client: readonly number[]): string {
  const facts = `the server speaks app protocol version ${list(server)}; the client asks for ${list(client)}`;
  const newestOfServer = Math.max(...server);
  const newestOfClient = Math.max(...client);
  const remedy =
    newestOfServer > newestOfClient
      ? `upgrade the client, or let the server support version ${newestOfClient}`
      : `upgrade the server, or let the client support version ${newestOfServer}`;
  return `${facts}: ${remedy}`;
}

const maxListed = 10;

function list(versions: readonly number[]): string {
  const sorted = byPreference(versions).reverse();
  return sorted.length <= maxListed
    ? sorted.join(", ")
    : `${sorted.slice(-maxListed).join(", ")} and ${sorted.length - maxListed} older ones`;
}
