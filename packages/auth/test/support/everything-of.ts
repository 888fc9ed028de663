import { inspect } from "node:util";

/** All that a log could show of a value: as text, JSON, inspected with what is hidden, an error's stack and its causes. */
export function everythingOf(value: unknown): string {
  const texts: string[] = [];
  const seen = new Set<unknown>();
  const look = (part: unknown): void => {
    if (seen.has(part)) return;
    seen.add(part);
    texts.push(String(part), inspect(part, { depth: 8, showHidden: true, getters: true, maxStringLength: null }));
    if (typeof part !== "object" || part === null) return;
    texts.push(asJson(part));
    if (part instanceof Error) texts.push(part.message, part.stack ?? "");
    for (const name of Object.getOwnPropertyNames(part)) look(read(part, name));
    if (part instanceof Headers) for (const entry of part) texts.push(entry.join(": "));
  };
  look(value);
  return texts.join("\n");
}

function read(part: object, name: string): unknown {
  try {
    return Reflect.get(part, name);
  } catch {
    return undefined;
  }
}

function asJson(part: object): string {
  try {
    return JSON.stringify(part) ?? "";
  } catch {
    return ""; // holds itself
  }
}
