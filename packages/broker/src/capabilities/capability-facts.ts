import { ConnectError } from "@connectrpc/connect";
import { checkName, checkVersion } from "@cpg/core/extension";

/** What every capability says of itself. */
export interface CapabilityFacts {
  /** At most 128 bytes: a letter, then letters, digits, "_", "." and "-". */
  readonly type: string;
  /** Semantic version without build metadata. */
  readonly version: string;
  /**
   * Only the holder of a grant may use it, and proves that on each call, with X-Plugin-Runtime-ID and
   * X-Plugin-Runtime-Token: a grant that was stolen is good for nothing. Plugins of ours do; those of connect-plugin-go
   * cannot. Default: as the broker says.
   */
  readonly requireHolderProof?: boolean | undefined;
}

/** @throws {TypeError} naming the option. */
export function checkCapabilityFacts({ type, version, requireHolderProof }: CapabilityFacts): void {
  for (const [name, value] of Object.entries({ type, version })) {
    if (typeof value !== "string") throw new TypeError(`${name} must be a string, got ${typeof value}`);
  }
  try {
    checkName("type", type);
    checkVersion("version", version);
  } catch (reason) {
    throw new TypeError(ConnectError.from(reason).rawMessage, { cause: reason });
  }
  if (requireHolderProof !== undefined && typeof requireHolderProof !== "boolean") {
    throw new TypeError(`requireHolderProof must be true or false, got ${typeof requireHolderProof}`);
  }
}
