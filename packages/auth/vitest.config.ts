import { defineConfig, mergeConfig } from "vitest/config";
import shared from "../toolchain/vitest.config.ts";

export default mergeConfig(shared, defineConfig({ test: { setupFiles: ["test/support/no-secrets-setup.ts"] } }));
