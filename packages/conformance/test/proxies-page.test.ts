import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inPackage } from "../src/suite.ts";
import { shownConfig } from "./support/proxies.ts";

describe("PROXIES.md", () => {
  it.each(["nginx", "haproxy"] as const)("shows the configuration of %s that is tested", (name) => {
    const page = readFileSync(inPackage("../registry/PROXIES.md"), "utf8");
    expect(page).toContain(`\`\`\`${name}\n${shownConfig(name)}\`\`\`\n`);
  });
});
