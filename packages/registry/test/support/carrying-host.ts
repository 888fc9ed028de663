import { Code, ConnectError } from "@connectrpc/connect";
import { type HttpRoute, serve } from "@cpg/core";
import type { Exchange } from "../../src/router/exchange/exchange.ts";
import { exchangeOf, exchangeOfStream } from "../../src/router/exchange/exchange-of.ts";
import { createForwarder } from "../../src/router/forward/create-forwarder.ts";
import type { ForwardEnd, SocketUpstream } from "../../src/router/forward/forwarder.ts";
import type { ForwarderOptions } from "../../src/router/forward/forwarder-options.ts";
import { createQueue } from "./queue.ts";

export interface CarryingHostOptions extends ForwarderOptions {
  /** The first is tried; the next ones in turn while nothing was sent and it can be done again. */
  readonly upstreams: readonly SocketUpstream[];
  /** Headers for the provider. Default: as received. */
  headers?(exchange: Exchange): readonly string[];
}

/** A host that carries every call below /to/ to a provider, and nothing else: no identity, no policy. */
export async function startCarryingHost({ upstreams, headers = (e) => e.headers, ...options }: CarryingHostOptions) {
  const forwarder = createForwarder(options);
  const ends = createQueue<ForwardEnd>();
  const exchanges = createQueue<Exchange>();
  const errors: unknown[] = [];

  const carry = async (exchange: Exchange): Promise<void> => {
    exchanges.put(exchange);
    for (const [index, upstream] of upstreams.entries()) {
      const { method, target } = exchange;
      const path = target.slice("/to".length);
      const end = await forwarder.forward(exchange, { upstream, method, path, headers: headers(exchange) });
      ends.put(end);
      if (end.kind === "unsent" && end.replayable && index + 1 < upstreams.length) continue;
      if (end.kind === "unsent" || end.kind === "lost") {
        exchange.fail(new ConnectError(end.error.message, Code.Unavailable), 502);
      }
      return;
    }
  };
  const route: HttpRoute = {
    path: "/to/",
    prefix: true,
    handle: (request, response) => void carry(exchangeOf(request, response)),
    handleStream: (stream, all, raw) => void carry(exchangeOfStream(stream, all, raw)),
  };
  const server = await serve({
    plugins: {},
    impls: {},
    listen: { port: 0 },
    link: false,
    handleSignals: false,
    environment: {},
    extensions: [{ name: "carrying", install: () => ({ httpRoutes: [route] }) }],
    onError: (error) => void errors.push(error),
  });
  return {
    endpoint: server.endpoint,
    port: Number(new URL(server.endpoint).port),
    forwarder,
    errors,
    /** How the next call that nobody has asked for yet ended. */
    nextEnd: () => ends.take(),
    nextExchange: () => exchanges.take(),
    async [Symbol.asyncDispose]() {
      await server.close({ graceMs: 0 });
      await forwarder.close();
    },
  };
}
