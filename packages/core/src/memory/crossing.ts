import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { messageRule } from "./message-rule.ts";
import { plainWeight, unclear } from "./plain-weight.ts";
import type { Tally } from "./scalar-rules.ts";

/**
 * Takes a message, or what `create` makes one of, to the other side, and returns it as it arrives there.
 * @throws {ConnectError} `internal` for what cannot be serialised, naming the field; `resource_exhausted` beyond the limit.
 */
export type Crossing = (message: unknown) => Message;

export interface CrossingOptions {
  /** The type as the sender knows it. */
  readonly from: DescMessage;
  /** The type as the receiver knows it. */
  readonly to: DescMessage;
  /** The receiver gets the sender's own message instead of a copy. */
  readonly byReference: boolean;
  /** Bytes that the message may have in binary for its sender. */
  readonly maxSendBytes: number;
  /** And for its receiver. */
  readonly maxReceiveBytes: number;
}

/** The receiver refuses the size of a message that its sender let pass: an error of the receiver. Cause of `resource_exhausted`. */
export class ReceiveLimitError extends RangeError {
  override readonly name = "ReceiveLimitError";
}

/**
 * One direction of one method. Where both sides know the type by the same descriptor, nothing is serialised: a rule
 * compiled from it checks and copies in one pass, and sums up what the message can have in bytes at most. Only a message
 * that this bound puts above the limit is serialised, to be measured. Two descriptors of one type (generated twice, or in
 * two versions) may differ in their fields; then messages go through bytes.
 */
export function createCrossing({ from, to, byReference, maxSendBytes, maxReceiveBytes }: CrossingOptions): Crossing {
  const unmeasuredBytes = Math.min(maxSendBytes, maxReceiveBytes);
  const throughBytes = (message: Message): Message => {
    const bytes = serialize(from, message);
    checkSize(bytes.byteLength, maxSendBytes, maxReceiveBytes);
    return fromBinary(to, bytes);
  };
  if (from !== to) return (message) => throughBytes(create(from, message as Message));
  const take = messageRule(from, !byReference);
  const weigh = byReference ? plainWeight(from) : undefined;
  return (init) => {
    if (weigh !== undefined) {
      const bytes = weigh(init);
      if (bytes !== unclear && bytes <= unmeasuredBytes) return init as Message;
    }
    const message = create(from, init as Message);
    const tally: Tally = { bytes: 0, depth: 0, serialize: false };
    let arrived: unknown;
    try {
      arrived = take(message, tally);
    } catch (error) {
      throw unsendable(error);
    }
    if (tally.serialize && !byReference) return throughBytes(message);
    if (tally.bytes > unmeasuredBytes) checkSize(serialize(from, message).byteLength, maxSendBytes, maxReceiveBytes);
    return arrived as Message;
  };
}

function serialize(desc: DescMessage, message: Message): Uint8Array {
  try {
    return toBinary(desc, message);
  } catch (error) {
    throw unsendable(error);
  }
}

function unsendable(error: unknown): ConnectError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ConnectError(`cannot send the message: ${reason}`, Code.Internal, undefined, undefined, error);
}

function checkSize(bytes: number, maxSendBytes: number, maxReceiveBytes: number): void {
  if (bytes > maxSendBytes) {
    throw new ConnectError(
      `message size ${bytes} is larger than the limit of ${maxSendBytes} bytes`,
      Code.ResourceExhausted,
    );
  }
  if (bytes > maxReceiveBytes) {
    const cause = new ReceiveLimitError(
      `message size ${bytes} is larger than the receiver's limit of ${maxReceiveBytes} bytes`,
    );
    throw new ConnectError(cause.message, Code.ResourceExhausted, undefined, undefined, cause);
  }
}
