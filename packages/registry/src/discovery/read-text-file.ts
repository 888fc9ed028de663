import { constants, open } from "node:fs/promises";

const maxBytes = 1024 * 1024;

/** The text of a regular file of at most 1 MiB. @throws {Error} of the system. {TypeError} {RangeError} for other files. */
export async function readTextFile(path: string): Promise<string> {
  // Not waiting for whoever may write to it, if it is a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new TypeError("it is no file");
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ autoClose: false, end: maxBytes })) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length > maxBytes) throw new RangeError(`it has more than ${maxBytes} bytes`);
    return bytes.toString("utf8");
  } finally {
    await file.close();
  }
}
