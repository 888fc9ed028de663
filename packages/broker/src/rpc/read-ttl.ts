import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { invalidField } from "@cpg/core/extension";

/** Nobody means more; what the host gives is less. */
const maxTtlMs = 366 * 24 * 60 * 60 * 1_000;

/** The time to live that a plugin asks for, in ms; undefined: it does not say. @throws {ConnectError} `invalid_argument`. */
export function readTtl(ttl: Duration | undefined): number | undefined {
  if (ttl === undefined) return undefined;
  const ms = durationMs(ttl);
  if (!(ms >= 1 && ms <= maxTtlMs)) throw invalidField("ttl", "must be from 1 ms to 366 days");
  return ms;
}
