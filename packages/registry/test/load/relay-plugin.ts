// Provides "relay": echoes, and sends streams that do not end by themselves.
import { definePlugin, serve } from "@cpg/core";
import { RelayService } from "../support/relay-service.ts";

const { RELAY_VERSION: version = "1.0.0" } = process.env;
const relay = definePlugin({
  name: "relay",
  version,
  service: RelayService,
  provides: [{ type: "relay", version, path: "/" }],
});

await serve({
  plugins: { relay },
  impls: {
    relay: {
      clientStream: () => Promise.reject(new Error("nobody calls it")),
      async *bidiStream() {},
      unary: (request) => ({ text: request.text, count: process.pid }),
      async *serverStream(request, { signal }) {
        yield { text: request.text, count: process.pid };
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
      },
    },
  },
});
