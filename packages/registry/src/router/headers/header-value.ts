/** The value of a header that may be there once; undefined if it is not there. */
export function headerValue(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index] === name) return headers[index + 1];
  }
  return undefined;
}

/** Names in lower case, as HTTP/2 has them, and values in turn. */
export function withLowerNames(rawHeaders: readonly string[]): string[] {
  return rawHeaders.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}

/** The list itself if the header is not there. */
export function withoutHeader(headers: readonly string[], name: string): readonly string[] {
  if (headerValue(headers, name) === undefined) return headers;
  return headers.filter((_, index) => headers[index - (index % 2)] !== name);
}
