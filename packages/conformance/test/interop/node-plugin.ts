// A plugin of ours that provides KV as TYPE, and has a child process of its own, which ignores SIGTERM.
import { spawn } from "node:child_process";
import { serve } from "@cpg/core";
import { kvOfType } from "./kv-of-type.ts";

const { TYPE = "kv" } = process.env;
spawn("sh", ["-c", "trap '' TERM; sleep 1000; sleep 1000"], { stdio: "ignore" });
await serve({
  plugins: { [TYPE]: kvOfType(TYPE) },
  impls: {
    [TYPE]: {
      get: () => ({ found: true, value: new TextEncoder().encode(TYPE) }),
      put: () => ({}),
      delete: () => ({}),
      async *watch() {
        yield {};
      },
    },
  },
});
