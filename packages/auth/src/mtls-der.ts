/** One element of DER: a tag and what is inside, by their places in the bytes. */
export interface DerElement {
  readonly bytes: Uint8Array;
  readonly tag: number;
  readonly start: number;
  /** Where what is inside begins. */
  readonly inside: number;
  readonly end: number;
}

export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
} as const;

/** The whole of the bytes, as one element. @throws {TypeError} when they are no DER. */
export function readDer(bytes: Uint8Array): DerElement {
  const element = elementAt(bytes, 0, bytes.length);
  if (element.end !== bytes.length) throw malformed();
  return element;
}

/** The elements inside of one. @throws {TypeError} when they do not fill it. */
export function* childrenOf({ bytes, inside, end }: DerElement): Generator<DerElement, void, void> {
  for (let at = inside; at < end; ) {
    const child = elementAt(bytes, at, end);
    yield child;
    at = child.end;
  }
}

export function contentOf({ bytes, inside, end }: DerElement): Uint8Array {
  return bytes.subarray(inside, end);
}

/** In hexadecimal. */
export function hexOf(element: DerElement): string {
  return Buffer.from(contentOf(element)).toString("hex");
}

export function malformed(): TypeError {
  return new TypeError("malformed DER");
}

/** Tags of one byte and lengths of up to four: X.509 has no others. */
function elementAt(bytes: Uint8Array, start: number, limit: number): DerElement {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined || start + 2 > limit || (tag & 0x1f) === 0x1f) throw malformed();
  let inside = start + 2;
  let length = first;
  if (first >= 0x80) {
    const width = first & 0x7f;
    if (width === 0 || width > 4 || inside + width > limit) throw malformed();
    length = 0;
    for (const byte of bytes.subarray(inside, inside + width)) length = length * 256 + byte;
    inside += width;
  }
  const end = inside + length;
  if (end > limit) throw malformed();
  return { bytes, tag, start, inside, end };
}
