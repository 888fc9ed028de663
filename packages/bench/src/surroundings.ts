import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { haproxy, installedVersion, nginx } from "./routing/proxy-program.ts";

/** What the figures depend on besides the code. */
export interface Surroundings {
  readonly node: string;
  readonly platform: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryGiB: number;
  /** Average load of the last minute when the run began. The bench itself is not in it. */
  readonly load: number;
  /** By name of the package or program; of a program that is missing there is none. */
  readonly versions: Readonly<Record<string, string>>;
}

const proxies = [nginx, haproxy];

const compared = [
  "@connectrpc/connect",
  "@connectrpc/connect-node",
  "@bufbuild/protobuf",
  "@grpc/grpc-js",
  "moleculer",
  "cockatiel",
  "opossum",
];

/** @throws {Error} naming a package that is not installed. */
export function surroundings(): Surroundings {
  return {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cpus: availableParallelism(),
    cpuModel: cpus()[0]?.model.trim() ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0] ?? 0,
    versions: Object.fromEntries([
      ...compared.map((name) => [name, packageVersion(name)]),
      ...proxies.flatMap((proxy) => {
        const version = installedVersion(proxy);
        return version === undefined ? [] : [[proxy.name, version]];
      }),
    ]),
  };
}

function packageVersion(name: string): string {
  const file = findPackageJSON(name, import.meta.url);
  if (file === undefined) throw new Error(`${name} is not installed`);
  const { version } = JSON.parse(readFileSync(file, "utf8"));
  return String(version);
}
