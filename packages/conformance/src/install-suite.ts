import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import {
  H2SPEC_COMMAND,
  H2SPEC_VERSION,
  inPackage,
  REFERENCE_SERVER_COMMAND,
  SUITE_COMMAND,
  SUITE_VERSION,
} from "./suite.ts";

/** A cold build downloads the suite's dependencies. */
const installTimeoutMs = 10 * 60_000;

export function isGoInstalled(): boolean {
  return spawnSync("go", ["version"], { stdio: "ignore" }).status === 0;
}

export interface InstalledSuite {
  /** Paths of its programs. */
  readonly runner: string;
  readonly referenceServer: string;
  readonly h2spec: string;
}

/** Builds the suites' programs into this package, unless that version of them is there already. */
export function installSuite(): InstalledSuite {
  return {
    runner: install(SUITE_COMMAND, SUITE_VERSION),
    referenceServer: install(REFERENCE_SERVER_COMMAND, SUITE_VERSION),
    h2spec: install(H2SPEC_COMMAND, H2SPEC_VERSION),
  };
}

function install(command: string, version: string): string {
  const folder = inPackage(`.bin/${version}`);
  const name = basename(command);
  const binary = join(folder, process.platform === "win32" ? `${name}.exe` : name);
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  console.log(`Building ${command}@${version}, which takes about a minute the first time.`);
  execFileSync("go", ["install", `${command}@${version}`], {
    env: { ...process.env, GOBIN: folder },
    stdio: "inherit",
    timeout: installTimeoutMs,
  });
  return binary;
}
