import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import {
  checkEndpointPath,
  checkFreeText,
  checkMetadata,
  checkName,
  checkVersion,
  invalidField,
} from "@cpg/core/extension";
import type { RegisterServiceRequest } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { ServiceFacts } from "../state/registry-store.ts";

/** What a plugin asks to be registered, checked. */
export interface ReadRegistration {
  readonly service: Omit<ServiceFacts, "upstream">;
  /** Undefined: it has shown none. */
  readonly instanceKey: string | undefined;
}

const defaultWeight = 100;
const weightPattern = /^(?:\d{1,3}|\d{1,2}\.\d{1,6}|100\.0{1,6})$/;
const minLeaseMs = 1_000;
const maxLeaseMs = 24 * 60 * 60 * 1000;
const minKeyLength = 32;
const maxKeyBytes = 512;

/** @throws {ConnectError} `invalid_argument`, naming the field and the rule. */
export function readRegistration(request: RegisterServiceRequest): ReadRegistration {
  const { serviceType, version, endpointPath, instanceKey } = request;
  checkName("service_type", serviceType);
  checkVersion("version", version);
  checkEndpointPath("endpoint_path", endpointPath);
  checkMetadata("metadata", request.metadata);
  const metadata = Object.freeze({ ...request.metadata });
  if (instanceKey !== "") {
    checkFreeText("instance_key", instanceKey, maxKeyBytes);
    if (instanceKey.length < minKeyLength) {
      throw invalidField("instance_key", `must have at least ${minKeyLength} characters, has ${instanceKey.length}`);
    }
  }
  return {
    service: {
      type: serviceType,
      version,
      endpointPath,
      metadata,
      weight: readWeight(metadata.weight),
      leaseMs: readLease(request.lease),
    },
    instanceKey: instanceKey === "" ? undefined : instanceKey,
  };
}

function readWeight(text: string | undefined): number {
  if (text === undefined) return defaultWeight;
  const weight = weightPattern.test(text) ? Number(text) : Number.NaN;
  if (!(weight >= 0 && weight <= 100)) {
    throw invalidField("metadata[weight]", "must be a decimal number from 0 to 100, such as 50 or 12.5");
  }
  return weight;
}

function readLease(lease: Duration | undefined): number | undefined {
  if (lease === undefined) return undefined;
  const ms = durationMs(lease);
  if (!(ms >= minLeaseMs && ms <= maxLeaseMs)) throw invalidField("lease", "must be from 1 s to 24 h");
  return ms;
}
