export interface LineTail {
  push(line: string): void;
  /** Oldest first. */
  lines(): readonly string[];
}

/** Where a stack trace says where it was: more than the first ones would push out what went wrong. */
const isFrame = (line: string | undefined): boolean => line !== undefined && /^\s+at /.test(line);
const maxFrames = 3;

/** Keeps the last lines of a stream, each up to `maxLength` characters, and of a stack trace only the first frames. */
export function createLineTail(maxLines = 20, maxLength = 1024): LineTail {
  const kept: string[] = [];
  return {
    push(line) {
      if (isFrame(line) && kept.slice(-maxFrames).filter(isFrame).length === maxFrames) return;
      kept.push(line.length > maxLength ? `${line.slice(0, maxLength - 1)}…` : line);
      if (kept.length > maxLines) kept.shift();
    },
    lines: () => [...kept],
  };
}
