// A plugin that provides "relay" and answers nothing.
import type { ServiceImpl } from "@connectrpc/connect";
import { definePlugin, serve } from "@cpg/core";
import { RelayService } from "./relay-service.ts";

const relay = definePlugin({
  name: "relay",
  version: "1.2.0",
  service: RelayService,
  provides: [{ type: "relay", version: "1.2.0" }],
});

await serve({ plugins: { relay }, impls: { relay: {} as ServiceImpl<typeof RelayService> } });
