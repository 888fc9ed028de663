export interface LineTail {
  push(line: string): void;
  /** Oldest first. */
  lines(): readonly string[];
}

/** Keeps the last lines of a stream, each up to `maxLength` characters. */
export function createLineTail(maxLines = 20, maxLength = 1024): LineTail {
  const kept: string[] = [];
  return {
    push(line) {
      kept.push(line.length > maxLength ? `${line.slice(0, maxLength - 1)}…` : line);
      if (kept.length > maxLines) kept.shift();
    },
    lines: () => [...kept],
  };
}
