import { definePlugin } from "@cpg/core";
import { KVService } from "./gen/kv/v1/kv_pb.ts";

/** What server and client share. */
export const kv = definePlugin({
  name: "kv",
  version: "1.0.0",
  service: KVService,
  provides: [{ type: "kv", version: "1.0.0" }],
});
