import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * A message, or what `create` makes one of, in binary.
 * @throws {ConnectError} `internal` for what cannot be serialised, `resource_exhausted` beyond the limit.
 */
export function messageToBytes(desc: DescMessage, message: unknown, maxBytes: number): Uint8Array<ArrayBuffer> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = toBinary(desc, create(desc, message as Message));
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    throw new ConnectError(`cannot send the message: ${text}`, Code.Internal, undefined, undefined, reason);
  }
  checkSize(bytes.byteLength, maxBytes);
  return bytes;
}

/** @throws {ConnectError} `internal` for bytes that are no such message, `resource_exhausted` beyond the limit. */
export function messageFromBytes(desc: DescMessage, bytes: Uint8Array, maxBytes: number): Message {
  checkSize(bytes.byteLength, maxBytes);
  try {
    return fromBinary(desc, bytes);
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    throw new ConnectError(`cannot read the message: ${text}`, Code.Internal, undefined, undefined, reason);
  }
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new ConnectError(`message size ${bytes} is larger than the limit of ${maxBytes} bytes`, Code.ResourceExhausted);
}
