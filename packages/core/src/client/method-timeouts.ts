import type { Transport } from "@connectrpc/connect";
import type { PluginDefinition } from "../definition/plugin-definition.ts";

/**
 * The transport as it is for calls that name a time-out; the plugin's own time-outs for those that name none. To go
 * without one, a call names `Infinity`.
 */
export function withMethodTimeouts(
  { service, timeoutsMs }: Pick<PluginDefinition, "service" | "timeoutsMs">,
  transport: Transport,
): Transport {
  const byMethod = new Map(
    service.methods.flatMap((method) => {
      const timeoutMs = timeoutsMs[method.localName];
      return timeoutMs === undefined ? [] : [[method, timeoutMs]];
    }),
  );
  if (byMethod.size === 0) return transport;
  return {
    unary: (method, signal, timeoutMs = byMethod.get(method), ...rest) =>
      transport.unary(method, signal, timeoutMs, ...rest),
    stream: (method, signal, timeoutMs = byMethod.get(method), ...rest) =>
      transport.stream(method, signal, timeoutMs, ...rest),
  };
}
