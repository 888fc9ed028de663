import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import type { Capability } from "../capabilities/capability.ts";
import { capabilityGrantKey } from "../capabilities/capability-grant-key.ts";
import { defineCapability } from "../capabilities/define-capability.ts";
import type { HostLog } from "./host-log.ts";
import { LoggerCapability } from "./logger-capability.ts";
import type { LoggerOptions } from "./logger-options.ts";
import { createLoggerService } from "./logger-service.ts";

/**
 * The host's log as a capability: `capability.logger.v1`, type "logger". Each entry bears the runtime id of the plugin that
 * wrote it, is on one line and cut to size; a plugin that writes too much loses entries, and the log says how many.
 * @param log pino, or a logger with its order of arguments: fields, then message.
 * @throws {RangeError} naming the option.
 * @example createBroker({ capabilities: [hostLogger(pino())] });
 */
export function hostLogger(log: HostLog, options?: LoggerOptions): Capability {
  const service = createLoggerService(log, options, ({ values }) => values.get(capabilityGrantKey)?.holder);
  return defineCapability(Logger, service, LoggerCapability);
}
