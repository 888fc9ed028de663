import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const run = promisify(execFile);
const packageDirectory = fileURLToPath(new URL("../..", import.meta.url));
const buf = join(packageDirectory, "node_modules/.bin/buf");

/** The modules of every build: our options, as a user's build has them. */
const optionsModule = fileURLToPath(new URL("../../../../proto", import.meta.url));

/** The .proto files of the tests. */
export const testProtos = fileURLToPath(new URL("../proto", import.meta.url));

/** What buf makes of the .proto files in a directory, with its notes of lines and comments. */
export async function descriptorsOf(directory: string): Promise<FileDescriptorSet> {
  const modules = [
    { path: directory.slice(1) },
    { path: optionsModule.slice(1), includes: [`${optionsModule.slice(1)}/cpg/options`] },
  ];
  const config = JSON.stringify({ version: "v2", modules });
  const { stdout } = await run(buf, ["build", "/", "--config", config, "-o", "-#format=binpb"], {
    encoding: "buffer",
    maxBuffer: 64 * 1024 * 1024,
  });
  return fromBinary(FileDescriptorSetSchema, stdout);
}
