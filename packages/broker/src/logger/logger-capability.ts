import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import type { CapabilityDescriptor } from "../client/capability-descriptor.ts";

/** The host's log, as plugins ask for it: `capability(link, LoggerCapability)`. Hosts of others lend the same. */
export const LoggerCapability: CapabilityDescriptor<typeof Logger> = {
  type: "logger",
  version: "1.0.0",
  service: Logger,
};
