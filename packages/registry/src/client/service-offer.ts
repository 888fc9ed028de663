import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { REGISTRATION_METADATA } from "@cpg/core/extension";
import type { RegisterServiceRequestSchema } from "@cpg/core/gen/connectplugin/v1/registry_pb";

/** A service that a plugin offers. */
export interface ServiceOffer {
  readonly type: string;
  /** Semantic version without build metadata. */
  readonly version: string;
  /** Where the plugin serves it: starts and ends with "/". */
  readonly path: string;
  /** URL under which the host reaches the plugin. Default: that of the registry client. */
  readonly baseUrl?: string | undefined;
  /** Told to whoever finds the service. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Share of calls under the weighted strategy, 0 to 100. Default 100. */
  readonly weight?: number | undefined;
  /**
   * The registration ends unless it is made again within this time, which the client sees to: after a third of it. Whole
   * number of ms from 1; hosts of ours take 1 000 (1 s) to 86 400 000 (24 h). Default: no end of its own.
   */
  readonly leaseMs?: number | undefined;
  /** Secret of this instance, at least 32 characters, by which the host knows it again wherever it listens. Default: none. */
  readonly instanceKey?: string | undefined;
}

/** @throws {RangeError} naming the field: what would not arrive as it was meant. The rest is the host's to check. */
export function checkOffer({ weight, leaseMs }: ServiceOffer): void {
  if (leaseMs !== undefined && !(Number.isSafeInteger(leaseMs) && leaseMs >= 1)) {
    throw new RangeError(`leaseMs must be a whole number from 1, got ${leaseMs}`);
  }
  if (weight !== undefined && !(weight >= 0 && weight <= 100)) {
    throw new RangeError(`weight must be a number from 0 to 100, got ${weight}`);
  }
}

/** @param place metadata that tells where the plugin is; what the offer says goes first. */
export function offerToWire(
  { type, version, path, baseUrl, metadata, weight, leaseMs, instanceKey = "" }: ServiceOffer,
  place: Readonly<Record<string, string>>,
): MessageInitShape<typeof RegisterServiceRequestSchema> {
  return {
    serviceType: type,
    version,
    endpointPath: path,
    metadata: {
      ...(baseUrl === undefined ? place : { [REGISTRATION_METADATA.baseUrl]: baseUrl }),
      ...metadata,
      ...(weight === undefined ? {} : { weight: decimal(weight) }),
    },
    instanceKey,
    ...(leaseMs === undefined ? {} : { lease: durationFromMs(leaseMs) }),
  };
}

/** Without exponent, and with as many digits as hosts of ours read. */
function decimal(weight: number): string {
  return Number.isInteger(weight) ? String(weight) : weight.toFixed(6);
}
