/** Headers as Node's HTTP/2 streams take them: Node 22 knows no flat list there. */
export function headerObject(headers: readonly string[]): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null);
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    const before = object[name];
    if (before === undefined) object[name] = value;
    else if (typeof before === "string") object[name] = [before, value];
    else before.push(value);
  }
  return object;
}
