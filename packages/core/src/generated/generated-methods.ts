import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";

/**
 * What a method knows of the call it answers: the signal that ends with it, its deadline, headers and context values such
 * as who is calling.
 */
export type CallContext = HandlerContext;

/** One request, one response. */
export type UnaryMethod<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: CallContext,
) => Promise<MessageInitShape<Output>> | MessageInitShape<Output>;

/** One request, a stream of responses. */
export type ServerStreamingMethod<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<Output>>;

/** A stream of requests, one response. */
export type ClientStreamingMethod<Input extends DescMessage, Output extends DescMessage> = (
  requests: AsyncIterable<MessageShape<Input>>,
  context: CallContext,
) => Promise<MessageInitShape<Output>>;

/** A stream of requests, a stream of responses. */
export type BidiStreamingMethod<Input extends DescMessage, Output extends DescMessage> = (
  requests: AsyncIterable<MessageShape<Input>>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<Output>>;
