import { definePlugin } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";

/** Writes lines. Its .proto is that of the protocol, and generated in @cpg/core; the other plugins are generated here. */
export const loggerPlugin = definePlugin({
  name: "logger",
  version: "1.0.0",
  service: Logger,
  provides: [{ type: "logger", version: "1.0.0" }],
});
