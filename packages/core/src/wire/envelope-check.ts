import { Code, ConnectError } from "@connectrpc/connect";

/** Tells whether a body in Connect's or gRPC's envelopes ended where one may end. */
export interface EnvelopeCheck {
  add(chunk: Uint8Array): void;
  /** @throws {ConnectError} `internal` if the body ends here and must not. */
  end(): void;
}

const prefixBytes = 5;
const endStreamFlag = 0b10;

/**
 * For a response of this content type; undefined when it has no envelopes. Connect reports a body that ends too early
 * with `invalid_argument`, which blames the caller for what the server or the way to it did.
 * Format: https://connectrpc.com/docs/protocol/#streaming-rpcs
 */
export function createEnvelopeCheck(contentType: string | null): EnvelopeCheck | undefined {
  if (contentType === null) return undefined;
  const endsWithEnvelope = contentType.startsWith("application/connect+");
  if (!endsWithEnvelope && !contentType.startsWith("application/grpc")) return undefined;
  let prefixSeen = 0;
  let flags = 0;
  let length = 0;
  let left = 0;
  return {
    add(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (left > 0) {
          const taken = Math.min(left, chunk.length - at);
          left -= taken;
          at += taken;
          continue;
        }
        const byte = chunk[at++] ?? 0;
        if (prefixSeen === 0) {
          flags = byte;
          length = 0;
        } else {
          length = length * 256 + byte;
        }
        prefixSeen++;
        if (prefixSeen < prefixBytes) continue;
        prefixSeen = 0;
        left = length;
      }
    },
    end() {
      if (prefixSeen > 0 || left > 0) throw new ConnectError("the response ended inside a message", Code.Internal);
      if (endsWithEnvelope && (flags & endStreamFlag) === 0) {
        throw new ConnectError("the response ended without the end of its stream", Code.Internal);
      }
    },
  };
}
