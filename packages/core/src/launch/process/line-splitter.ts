export interface LineSplitter {
  write(chunk: Buffer): void;
  /** Hands over what follows the last line ending, if anything does. */
  end(): void;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const firstCapacity = 1024;

/**
 * Cuts a stream of bytes into lines. Of a line longer than `maxLineBytes` the rest is counted and forgotten, so no more
 * than that is ever held, however long the line gets. Lines end with LF or CRLF; bytes that are not UTF-8 are replaced.
 */
export function createLineSplitter(
  maxLineBytes: number,
  onLine: (line: string, truncatedBytes: number) => void,
): LineSplitter {
  let held = Buffer.alloc(0);
  let length = 0;
  let truncatedBytes = 0;
  let lastByte = 0;

  const hold = (bytes: Buffer): void => {
    const room = maxLineBytes - length;
    const kept = Math.min(room, bytes.length);
    if (length + kept > held.length) {
      const capacity = Math.min(maxLineBytes, Math.max(firstCapacity, 2 * held.length, length + kept));
      const grown = Buffer.allocUnsafeSlow(capacity);
      held.copy(grown, 0, 0, length);
      held = grown;
    }
    bytes.copy(held, length, 0, kept);
    length += kept;
    truncatedBytes += bytes.length - kept;
    lastByte = bytes[bytes.length - 1] ?? lastByte;
  };

  const emit = (): void => {
    const ending = truncatedBytes > 0 && lastByte === carriageReturn ? 1 : 0;
    const cut = truncatedBytes - ending;
    const line = held.subarray(0, length);
    const whole = cut > 0 ? line.subarray(0, wholeCharacters(line)) : withoutReturn(line);
    const lost = cut + (cut > 0 ? line.length - whole.length : 0);
    const text = whole.toString();
    if (held.length > firstCapacity) held = Buffer.alloc(0); // an idle stream holds nothing
    length = 0;
    truncatedBytes = 0;
    onLine(text, lost);
  };

  return {
    write(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
        const piece = chunk.subarray(start, end);
        start = end + 1;
        if (length === 0 && truncatedBytes === 0 && piece.length <= maxLineBytes) {
          onLine(withoutReturn(piece).toString(), 0); // no copy: the whole line is in this chunk
        } else {
          if (piece.length > 0) hold(piece);
          emit();
        }
      }
      if (start < chunk.length) hold(chunk.subarray(start));
    },
    end() {
      if (length > 0 || truncatedBytes > 0) emit();
    },
  };
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line;
}

/** How many of the bytes belong to characters that are not cut at the end. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue; // in the middle of a character
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
