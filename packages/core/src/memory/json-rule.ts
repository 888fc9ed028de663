import { expected, type Take, type Tally } from "./scalar-rules.ts";

/** A google.protobuf.Struct, Value or ListValue; each level of JSON is two messages deep. */
const maxDepth = 50;
/** Most bytes of the tags and lengths around one value: entry, Value, Struct or ListValue. */
const wrapperBytes = 40;

/** The rule of a JSON object, which travels as a google.protobuf.Struct. */
export function jsonObjectRule(isolate: boolean): Take {
  const take = isolate ? copyValue : checkValue;
  return (value, tally) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw expected("a JSON object", value);
    return take(value, tally, 0);
  };
}

function copyValue(value: unknown, tally: Tally, level: number): unknown {
  countValue(value, tally, level);
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((element) => copyValue(element, tally, level + 1));
  const copied = Object.entries(value).map(([key, member]): [string, unknown] => {
    tally.bytes += key.length * 3;
    return [key.toWellFormed(), copyValue(member, tally, level + 1)];
  });
  return Object.fromEntries(copied);
}

function checkValue(value: unknown, tally: Tally, level: number): unknown {
  countValue(value, tally, level);
  if (typeof value !== "object" || value === null) return value;
  for (const [key, member] of Object.entries(value)) {
    tally.bytes += key.length * 3;
    checkValue(member, tally, level + 1);
  }
  return value;
}

function countValue(value: unknown, tally: Tally, level: number): void {
  if (level > maxDepth) throw new RangeError(`JSON must not be nested deeper than ${maxDepth}`);
  tally.bytes += wrapperBytes;
  switch (typeof value) {
    case "string":
      tally.bytes += value.length * 3;
      return;
    case "number":
    case "boolean":
    case "object":
      return;
    default:
      throw expected("JSON", value);
  }
}
