import { defineConfig } from "vitest/config";

export default defineConfig({ test: { setupFiles: ["test/support/no-secrets-setup.ts"] } });
