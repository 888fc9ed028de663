/** Headers as Node's HTTP/2 streams take them: Node 22 knows no flat list there. */
export function headerObject(headers: readonly string[]): Record<string, string | string[]> {
  // With a prototype, because without one objects are slow.
  const object: Record<string, string | string[]> = {};
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    const before = Object.hasOwn(object, name) ? object[name] : undefined;
    if (before === undefined) setOwn(object, name, value);
    else if (typeof before === "string") setOwn(object, name, [before, value]);
    else before.push(value);
  }
  return object;
}

function setOwn(object: Record<string, string | string[]>, name: string, value: string | string[]): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}
