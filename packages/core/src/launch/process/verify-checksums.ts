import { createHash, timingSafeEqual } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";

/**
 * Compares the sha256 of each file, read now, with what it should be; relative paths start at `cwd`. It says what was on
 * disk at this moment: not what runs later, should somebody replace a file in between, and nothing of files not listed,
 * such as the interpreter or imported modules.
 * @throws {Error} naming the first file that differs or cannot be read; the reason of `signal`.
 */
export async function verifyChecksums(
  checksums: Readonly<Record<string, string>>,
  cwd: string,
  signal: AbortSignal,
): Promise<void> {
  for (const [file, expected] of Object.entries(checksums)) {
    const actual = await sha256(resolve(cwd, file), signal);
    if (!timingSafeEqual(actual, Buffer.from(expected, "hex"))) {
      throw new Error(`sha256 of ${file} is ${actual.toString("hex")}, expected ${expected.toLowerCase()}`);
    }
  }
}

async function sha256(path: string, signal: AbortSignal): Promise<Buffer> {
  const stats = await stat(path);
  if (!stats.isFile()) throw new Error(`${path} is no regular file`); // reading a pipe might never end
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest();
}
