import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import type { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import type { HostLog } from "./host-log.ts";
import { type LoggerOptions, resolveLoggerOptions } from "./logger-options.ts";
import { createPluginLog } from "./plugin-log.ts";

/** The plugin that writes. */
export type LogWriter = Pick<RuntimeIdentity, "runtimeId" | "onEnd">;

/**
 * The Logger service over the log of the host. An entry that is dropped is no error: its writer has nothing to do about it.
 * @param writerOf undefined: the call comes from no plugin, and is refused.
 * @throws {RangeError} naming the option.
 */
export function createLoggerService(
  log: HostLog,
  options: LoggerOptions | undefined,
  writerOf: (context: HandlerContext) => LogWriter | undefined,
): ServiceImpl<typeof Logger> {
  const plugins = createPluginLog(log, resolveLoggerOptions(options));
  const followed = new WeakSet<LogWriter>();
  return {
    log({ level, message, fields }, context) {
      const writer = writerOf(context);
      if (writer === undefined) throw new ConnectError("only plugins write here", Code.Unauthenticated);
      if (!followed.has(writer)) {
        followed.add(writer);
        writer.onEnd(() => plugins.end(writer.runtimeId));
      }
      plugins.write(writer.runtimeId, { level, message, fields });
      return {};
    },
  };
}
