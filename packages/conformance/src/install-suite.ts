import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { inPackage, SUITE_COMMAND, SUITE_VERSION } from "./suite.ts";

/** A cold build downloads the suite's dependencies. */
const installTimeoutMs = 10 * 60_000;

export function isGoInstalled(): boolean {
  return spawnSync("go", ["version"], { stdio: "ignore" }).status === 0;
}

/** Path of the suite's binary; builds it into this package unless that version is there already. */
export function installSuite(): string {
  const folder = inPackage(`.bin/${SUITE_VERSION}`);
  const binary = join(folder, process.platform === "win32" ? "connectconformance.exe" : "connectconformance");
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  console.log(`Building ${SUITE_COMMAND}@${SUITE_VERSION}, which takes about a minute the first time.`);
  execFileSync("go", ["install", `${SUITE_COMMAND}@${SUITE_VERSION}`], {
    env: { ...process.env, GOBIN: folder },
    stdio: "inherit",
    timeout: installTimeoutMs,
  });
  return binary;
}
