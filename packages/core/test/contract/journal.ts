import type { Step } from "./contract-messages.ts";

/** What a handler noted. */
export interface Note {
  readonly text?: string;
  readonly code?: number;
}

/** What happened inside the plugin, for a test that cannot look into it. */
export interface Journal {
  note(key: string, note?: Note): void;
  /** The last note under that key and how many there were; resolves once there are as many as asked for. */
  seen(key: string, atLeast: number, signal: AbortSignal): Promise<Pick<Step, "count" | "text" | "code">>;
  /** The same without waiting. */
  peek(key: string): Pick<Step, "count" | "text" | "code">;
  /** All texts under that key, in order. */
  log(key: string): readonly string[];
  /** Opens a gate, now and for good. */
  open(key: string): void;
  opened(key: string): Promise<void>;
}

export function createJournal(): Journal {
  const notes = new Map<string, Note[]>();
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const waiting = new Set<() => void>();
  const gate = (key: string) => {
    const known = gates.get(key) ?? Promise.withResolvers<void>();
    gates.set(key, known);
    return known;
  };
  const journal: Journal = {
    note(key, note = {}) {
      if (key === "") return;
      const known = notes.get(key) ?? [];
      notes.set(key, known);
      known.push(note);
      for (const look of [...waiting]) look();
    },
    peek(key) {
      const known = notes.get(key) ?? [];
      const last = known.at(-1);
      return { count: known.length, text: last?.text ?? "", code: last?.code ?? 0 };
    },
    seen: (key, atLeast, signal) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = journal.peek(key);
          if (found.count < atLeast) return;
          leave();
          resolve(found);
        };
        const giveUp = () => {
          leave();
          reject(signal.reason);
        };
        const leave = () => {
          waiting.delete(look);
          signal.removeEventListener("abort", giveUp);
        };
        waiting.add(look);
        if (signal.aborted) giveUp();
        else signal.addEventListener("abort", giveUp, { once: true });
        look();
      }),
    log: (key) => (notes.get(key) ?? []).map(({ text = "" }) => text),
    open: (key) => gate(key).resolve(),
    opened: (key) => gate(key).promise,
  };
  return journal;
}
