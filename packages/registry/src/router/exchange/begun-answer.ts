import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { encodeError } from "@cpg/core/extension";

/** Whether answers of this content type are envelopes, each with its length in front. */
export function isEnveloped(contentType: string): boolean {
  return contentType.startsWith("application/connect+") || contentType.startsWith("application/grpc");
}

/** Flag and length. */
const prefixBytes = 5;

/** Follows the envelopes of an answer by their lengths. A class, as it sees every byte of every stream. */
export class EnvelopeFollower {
  /** Bytes that lack of the present one. */
  #left = 0;
  /** Bytes of the present prefix that came. */
  #prefix = 0;
  #length = 0;

  /** Whether another envelope may follow what passed so far. */
  get isBetween(): boolean {
    return this.#left === 0 && this.#prefix === 0;
  }

  pass(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      // The first byte of the prefix is the flag.
      if (this.#prefix > 0) this.#length = this.#length * 256 + (chunk[at] ?? 0);
      this.#prefix++;
      at++;
      if (this.#prefix < prefixBytes) continue;
      this.#left = this.#length;
      this.#prefix = 0;
      this.#length = 0;
    }
  }
}

/** How an answer of envelopes ends with an error, after some of them. */
export interface ErrorEnvelope {
  readonly body: Uint8Array | undefined;
  /** Names and values in turn. */
  readonly trailers: readonly string[];
}

const grpcWebTrailerFlag = 0x80;

/** In the protocol of this content type, which is enveloped. */
export function errorEnvelope(contentType: string, error: ConnectError): ErrorEnvelope {
  if (contentType.startsWith("application/connect+"))
    return { body: encodeError(contentType, error).body, trailers: [] };
  const trailers = [...setTrailerStatus(new Headers(), error)].flat();
  if (!contentType.startsWith("application/grpc-web")) return { body: undefined, trailers };
  const lines: string[] = [];
  for (let index = 0; index + 1 < trailers.length; index += 2)
    lines.push(`${trailers[index]}: ${trailers[index + 1]}\r\n`);
  return { body: encodeEnvelope(grpcWebTrailerFlag, new TextEncoder().encode(lines.join(""))), trailers: [] };
}
