// Generates src/gen from the .proto files of the Go module. Without their comments: those are not ours.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inPackage, SUITE_MODULE, SUITE_VERSION } from "./suite.ts";

const folder = mkdtempSync(join(tmpdir(), "conformance-proto-"));
try {
  const answer = execFileSync("go", ["mod", "download", "-json", `${SUITE_MODULE}@${SUITE_VERSION}`], { cwd: folder });
  const { Dir: module } = JSON.parse(answer.toString()) as { Dir: string };
  const image = join(folder, "image.binpb");
  const options = { cwd: inPackage("."), stdio: "inherit" } as const;
  const unused = join(module, "proto/connectrpc/conformance/v1/suite.proto");
  const flags = ["--exclude-source-info", "--exclude-path", unused, "-o", image];
  execFileSync("buf", ["build", join(module, "proto"), ...flags], options);
  execFileSync("buf", ["generate", image], options);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
