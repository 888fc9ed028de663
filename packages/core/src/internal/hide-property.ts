/** Makes a property not enumerable: a log that shows the object does not show it, nor does JSON or a copy. Returns `object`. */
export function hideProperty<T extends object>(object: T, name: keyof T): T {
  return Object.defineProperty(object, name, { enumerable: false });
}
