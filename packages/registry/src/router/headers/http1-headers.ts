import type { OutgoingMessage } from "node:http";
import type { BodyForm } from "../exchange/caller-stream.ts";
import { headerValue } from "./header-value.ts";

/** The head of a message as HTTP/1.1 writes it. */
export interface Http1Head {
  readonly headers: string[];
  /** The body is sent in chunks, after which trailers fit. */
  readonly chunked: boolean;
}

/**
 * End-to-end headers that agree with how HTTP/1.1 frames the body: a length, or chunks. Trailers need chunks, so a length
 * goes where they are announced; and what announces them goes where no chunks are. The parts into which HTTP/2 may split
 * cookies become one again, RFC 9113, section 8.2.3.
 * @param mayChunk HTTP/1.0 knows no chunks.
 */
export function http1Head(headers: readonly string[], body: BodyForm, mayChunk = true): Http1Head {
  const withTrailers = body === "trailed" && mayChunk && headerValue(headers, "trailer") !== undefined;
  const chunked = body !== "none" && mayChunk && (withTrailers || headerValue(headers, "content-length") === undefined);
  const fitting: string[] = [];
  let cookieAt = -1;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    if ((name === "content-length" && withTrailers) || (name === "trailer" && !chunked)) continue;
    if (name === "cookie" && cookieAt >= 0) {
      fitting[cookieAt] += `; ${value}`;
      continue;
    }
    if (name === "cookie") cookieAt = fitting.length + 1;
    fitting.push(name, value);
  }
  return { headers: fitting, chunked };
}

/** Adds trailers, as far as HTTP/1.1 can write them. `trailers`: names and values in turn. */
export function addTrailers(message: OutgoingMessage, trailers: readonly string[]): void {
  if (trailers.length === 0) return;
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < trailers.length; index += 2) {
    pairs.push([trailers[index] ?? "", trailers[index + 1] ?? ""]);
  }
  try {
    message.addTrailers(pairs);
  } catch {
    // What came cannot be written; trailers may be lost on the way, RFC 9110, section 6.5.1.
  }
}
