// Runs a command under a supported Node: the caller's own if it is new enough, else the one installed
// beside this file from the npm registry. Plain JavaScript, because an old Node has to read it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";

/** The first versions that run TypeScript as it is, without a flag; every later major does. */
const floors = { 22: 18, 23: 6 };

function isSupported(version) {
  const [major, minor] = version.split(".").map(Number);
  return major >= 24 || minor >= floors[major];
}

function bundledNode() {
  // It is built for glibc; on musl (Alpine) it would not start.
  if (process.platform !== "linux" || process.report.getReport().header.glibcVersionRuntime === undefined)
    return undefined;
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    const directory = join(dirname(manifest), "bin");
    return existsSync(join(directory, "node")) ? directory : undefined;
  } catch {
    return undefined;
  }
}

const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  console.error("usage: node packages/toolchain/run.mjs <command> [arguments]");
  process.exit(2);
}
const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1" };
if (isSupported(process.versions.node)) {
  env.CPG_NODE = process.versions.node;
} else {
  const directory = bundledNode();
  if (directory === undefined) {
    console.error(
      `This repository needs Node 22.18 or newer, and this is Node ${process.versions.node}.\n` +
        "Only on Linux with glibc (x64, arm64) is a newer one installed for you, by `npx -y pnpm@12 install`; elsewhere\n" +
        "install a current LTS release first.",
    );
    process.exit(1);
  }
  env.PATH = `${directory}${delimiter}${process.env.PATH ?? ""}`;
  env.CPG_NODE = "bundled";
}

const child = spawn(command, args, { stdio: "inherit", env, shell: process.platform === "win32" });
// The terminal sends SIGINT to the child as well, which decides when to end; the other two reach only this process.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`${command}: ${error.message}`);
  process.exit(127);
});
child.on("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
});
