const consoleMethods = ["log", "info", "warn", "error", "debug", "trace", "dir"] as const;

/** What this process says from now on. */
export interface CapturedOutput {
  /** Calls of console, texts to stdout and stderr, and warnings of the process. */
  readonly said: readonly unknown[];
  stop(): void;
}

/** Listens in: everything is still said where it was said before. */
export function captureOutput(): CapturedOutput {
  const said: unknown[] = [];
  const undo: (() => void)[] = [];
  for (const name of consoleMethods) {
    const { [name]: original } = console;
    const listening = (...parts: unknown[]): void => {
      said.push(...parts);
      Reflect.apply(original, console, parts);
    };
    Object.assign(console, { [name]: listening });
    undo.push(() => void Object.assign(console, { [name]: original }));
  }
  for (const stream of [process.stdout, process.stderr]) {
    const { write } = stream;
    stream.write = function writing(this: typeof stream, ...args: Parameters<typeof write>): boolean {
      said.push(Buffer.from(args[0]).toString());
      return write.apply(this, args);
    } as typeof write;
    undo.push(() => {
      stream.write = write;
    });
  }
  const onWarning = (warning: Error) => void said.push(warning);
  process.on("warning", onWarning);
  undo.push(() => void process.off("warning", onWarning));
  return {
    said,
    stop() {
      for (const each of undo.splice(0)) each();
    },
  };
}
