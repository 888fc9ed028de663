/**
 * What is about one connection, and no further: RFC 9110, section 7.6.1, and RFC 9113, section 8.2.2. `http2-settings` is
 * part of an upgrade, which is never made.
 */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "te",
  "upgrade",
  "http2-settings",
]);

/** Not in trailers: what frames or routes a message, RFC 9110, section 6.5.1. */
const neverTrailing: ReadonlySet<string> = new Set([...hopByHop, "content-length", "host", "trailer"]);

/**
 * The headers of a message that go beyond one connection. Also without pseudo headers.
 * @param headers names, in lower case, and values in turn.
 */
export function endToEndHeaders(headers: readonly string[]): string[] {
  const named = connectionOptions(headers);
  const passed: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (hopByHop.has(name) || name.startsWith(":") || named?.has(name)) continue;
    passed.push(name, headers[index + 1] ?? "");
  }
  return passed;
}

/** Those of a request: `host` is another one at the next server. */
export function endToEndRequestHeaders(headers: readonly string[]): string[] {
  const named = connectionOptions(headers);
  const passed: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (hopByHop.has(name) || name === "host" || name.startsWith(":") || named?.has(name)) continue;
    passed.push(name, headers[index + 1] ?? "");
  }
  return passed;
}

/** The trailers of a message that go beyond one connection. */
export function endToEndTrailers(trailers: readonly string[]): string[] {
  const passed: string[] = [];
  for (let index = 0; index + 1 < trailers.length; index += 2) {
    const name = trailers[index] ?? "";
    if (neverTrailing.has(name) || name.startsWith(":")) continue;
    passed.push(name, trailers[index + 1] ?? "");
  }
  return passed;
}

/** Whether the sender takes trailers: of what `te` says, only that has a meaning to the next server. */
export function takesTrailers(headers: readonly string[]): boolean {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index] === "te" && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(headers[index + 1] ?? "")) return true;
  }
  return false;
}

/** The names that `connection` names, if any. */
function connectionOptions(headers: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index] !== "connection") continue;
    for (const option of (headers[index + 1] ?? "").split(",")) {
      const name = option.trim().toLowerCase();
      if (name === "" || name === "close" || name === "keep-alive") continue;
      named ??= new Set();
      named.add(name);
    }
  }
  return named;
}
