/** One attribute of a distinguished name, such as CN. */
interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

/** A distinguished name: its parts from the most general one, each of one or, rarely, several attributes. */
export type DistinguishedName = readonly (readonly NameAttribute[])[];

/**
 * Reads a distinguished name. "lines" is how Node writes the subject of a certificate: one part a line, the most general
 * first; "commas" is RFC 4514, the most general last. Undefined: malformed.
 */
export function parseDistinguishedName(text: string, form: "lines" | "commas"): DistinguishedName | undefined {
  if (text === "") return [];
  const parts: NameAttribute[][] = [];
  for (const part of splitUnescaped(text, form === "lines" ? "\n" : ",")) {
    const attributes: NameAttribute[] = [];
    for (const attribute of splitUnescaped(part, "+")) {
      const equals = attribute.indexOf("=");
      const type = attribute.slice(0, Math.max(equals, 0)).trim();
      const value = unescaped(trimUnescaped(attribute.slice(equals + 1)));
      if (!/^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)$/.test(type) || value === undefined) return undefined;
      attributes.push({ type, value });
    }
    parts.push(attributes);
  }
  return form === "lines" ? parts : parts.reverse();
}

/** As RFC 4514 has it: "CN=client,O=Acme". One text for one name, whatever wrote it. */
export function formatDistinguishedName(name: DistinguishedName): string {
  const parts = name.map((part) => part.map(({ type, value }) => `${type}=${escaped(value)}`).join("+"));
  return parts.reverse().join(",");
}

/** Values of one attribute, the most general first. */
export function attributesOf(name: DistinguishedName, type: string): readonly string[] {
  return name.flatMap((part) => part.filter((attribute) => attribute.type === type).map(({ value }) => value));
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") {
      at++;
    } else if (text[at] === separator) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

/** Spaces alone, as in RFC 4514: other white space is part of a value. */
function trimUnescaped(text: string): string {
  const begun = text.replace(/^ +/, "");
  const ended = withoutSpacesAtEnd(begun);
  const backslashes = ended.length - ended.replace(/\\+$/, "").length;
  return backslashes % 2 === 1 ? `${ended}${begun[ended.length] ?? ""}` : ended;
}

function withoutSpacesAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === " ") end--;
  return text.slice(0, end);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function unescaped(text: string): string | undefined {
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) return undefined;
  try {
    return text.replace(/((?:\\[0-9a-fA-F]{2})+)|\\(.)/gs, (_, bytes: string | undefined, character: string) =>
      bytes === undefined ? character : utf8.decode(Buffer.from(bytes.replaceAll("\\", ""), "hex")),
    );
  } catch {
    return undefined;
  }
}

function escaped(value: string): string {
  return value
    .replace(/[,+"\\<>;]|^[ #]| $/g, "\\$&")
    .replace(/\p{Cc}/gu, (control) => Buffer.from(control).toString("hex").replace(/../g, "\\$&"));
}
