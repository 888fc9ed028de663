/**
 * What ends lines, moves cursors, turns text around or is no character by itself: C0 and C1 with DEL, line and paragraph
 * separators, marks and overrides of direction, halves of surrogate pairs.
 */
const unsafe = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const shortForms: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** The text on one line, with everything in it that is no plain text written as an escape, such as \n or \u001b. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => shortForms.get(character) ?? escaped(character));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The first `length` characters, as JavaScript counts them, less the half of one that is cut in two. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  const isHalf = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, isHalf ? length - 1 : length);
}
