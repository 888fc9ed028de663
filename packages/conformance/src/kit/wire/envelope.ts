/** One frame of a streaming protocol: a byte of flags, four of length, the bytes. */
export interface Frame {
  readonly flags: number;
  readonly bytes: Buffer;
}

const headBytes = 5;
const maxFrameBytes = 8 * 1024 * 1024;

export function frame(bytes: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** @throws {Error} for a frame of more than 8 MiB, and for one that is cut off. */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    while (rest.length >= headBytes) {
      const length = rest.readUInt32BE(1);
      if (length > maxFrameBytes) throw new Error(`a frame of ${length} bytes`);
      if (rest.length < headBytes + length) break;
      yield { flags: rest.readUInt8(0), bytes: rest.subarray(headBytes, headBytes + length) };
      rest = rest.subarray(headBytes + length);
    }
  }
  if (rest.length > 0) throw new Error("the answer ends in the middle of a frame");
}
