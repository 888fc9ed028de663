import type { HostLogLevel } from "./host-log.ts";
import type { LogLimits } from "./logger-options.ts";
import { printable, shortened } from "./printable.ts";

/** What a plugin wants written. */
export interface LogOrder {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** What is written of it. */
export interface LogEntry {
  readonly level: HostLogLevel;
  readonly message: string;
  /** Under names of our own, so that a plugin cannot write over those of the log. */
  readonly fields: {
    readonly plugin: string;
    /** What the plugin called the level, if the log does not have it. */
    readonly pluginLevel?: string;
    readonly fields?: Readonly<Record<string, string>>;
    /** How much did not fit: characters of the message and the fields, and whole fields. */
    readonly cut?: { readonly characters: number; readonly fields: number };
  };
}

const levels: ReadonlyMap<string, HostLogLevel> = new Map([
  ["debug", "debug"],
  ["info", "info"],
  ["warn", "warn"],
  ["error", "error"],
]);
/** Names of other logs. The host is not the one that dies of a plugin's "fatal". */
const otherLevels: ReadonlyMap<string, HostLogLevel> = new Map([
  ["trace", "debug"],
  ["verbose", "debug"],
  ["notice", "info"],
  ["warning", "warn"],
  ["err", "error"],
  ["critical", "error"],
  ["fatal", "error"],
  ["panic", "error"],
]);
const maxLevelLength = 32;

/** What is written of an order: within the limits, on one line, in the host's levels. Pure. */
export function logEntry(plugin: string, order: LogOrder, limits: LogLimits): LogEntry {
  const { maxMessage, maxFields, maxKey, maxValue } = limits;
  let characters = 0;
  const within = (text: string, length: number): string => {
    const kept = shortened(text, length);
    characters += text.length - kept.length;
    return printable(kept);
  };
  const message = within(order.message, maxMessage);
  const given = Object.entries(order.fields);
  // Not written to an object by name: one of them may be "__proto__".
  const fields = Object.fromEntries(
    given.slice(0, maxFields).map(([key, value]) => [within(key, maxKey), within(value, maxValue)]),
  );
  const lost = Math.max(0, given.length - maxFields);
  const asked = order.level.trim().toLowerCase();
  const known = levels.get(asked);
  return {
    level: known ?? otherLevels.get(asked) ?? "info",
    message,
    fields: {
      plugin,
      ...(known === undefined && { pluginLevel: printable(shortened(order.level, maxLevelLength)) }),
      ...(given.length > 0 && { fields }),
      ...((characters > 0 || lost > 0) && { cut: { characters, fields: lost } }),
    },
  };
}
