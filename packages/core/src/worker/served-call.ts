import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { callerLeft, deadlineExceeded } from "../memory/call-ends.ts";
import { createHandOver, type HandOver } from "../memory/hand-over.ts";
import type { Frame } from "./frame.ts";
import { createInbox } from "./inbox.ts";
import { messageFromBytes, messageToBytes } from "./message-bytes.ts";
import type { FrameSender } from "./port-link.ts";
import { createSendWindow } from "./stream-window.ts";

/** A call of the host, on its way through the plugin's own server. */
export interface ServedCall {
  /** Resolves when it has been answered, or given up. Never rejects. */
  readonly done: Promise<void>;
  onFrame(frame: Frame): void;
  /** Nobody waits for an answer any more. */
  cancel(reason: ConnectError): void;
  /** What is left goes out, whether the host has room or not. */
  release(): void;
}

export interface ServedCallOptions {
  readonly call: Extract<Frame, { kind: "open" }>;
  /** As the server knows it; undefined: it does not. */
  readonly method: DescMethod | undefined;
  /** To the server. Checks the sizes of messages. */
  readonly transport: Transport;
  readonly send: FrameSender;
  /** Called once, when it has been answered or given up. */
  onOver(): void;
}

const anySize = Number.POSITIVE_INFINITY;
const end: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

export function serveCall({ call, method, transport, send, onOver }: ServedCallOptions): ServedCall {
  const { id, timeoutMs, header } = call;
  const controller = new AbortController();
  const inbox = createInbox((messages, bytes) => {
    if (call.methodKind !== "unary") send.credit(id, messages, bytes);
  });
  const window = createSendWindow();
  let over = false;

  /** Answers, unless the host has gone. */
  const finish = (answer: () => void): void => {
    if (over) return;
    over = true;
    inbox.clear();
    answer();
    onOver();
  };

  const answerUnary = async (unary: DescMethodUnary): Promise<void> => {
    const bytes = await inbox.pull();
    if (over) return;
    if (bytes === undefined) throw new ConnectError("protocol error: missing input message", Code.Unimplemented);
    const input = messageFromBytes(unary.input, bytes, anySize);
    const response = await transport.unary(unary, controller.signal, timeoutMs, header, input);
    const output = messageToBytes(unary.output, response.message, anySize);
    finish(() => {
      send.head(id, response.header);
      send.message(id, output);
      send.end(id, response.trailer);
    });
  };

  const answerStream = async (streaming: DescMethodStreaming): Promise<void> => {
    const arrived = (bytes: Uint8Array | undefined): void => {
      if (bytes === undefined) requests.put(end);
      else requests.put({ done: false, value: messageFromBytes(streaming.input, bytes, anySize) });
    };
    const requests: HandOver<Message> = createHandOver<Message>({
      pull: () => void inbox.pull().then(arrived).catch(requests.refuse),
      onLeave: () => inbox.clear(),
    });
    const response = await transport.stream(streaming, controller.signal, timeoutMs, header, requests);
    if (over) return;
    send.head(id, response.header);
    const messages = response.message[Symbol.asyncIterator]();
    for (;;) {
      await window.room();
      if (over) return; // the abort ends the stream, too
      const result = await messages.next();
      if (over) return;
      if (result.done) break;
      const bytes = messageToBytes(streaming.output, result.value, anySize);
      window.sent(bytes.byteLength);
      send.message(id, bytes);
    }
    finish(() => send.end(id, response.trailer));
  };

  const run = async (): Promise<void> => {
    try {
      await undefined; // its frames come, and its end is heard of, once whoever opened it knows it
      if (method === undefined || method.methodKind !== call.methodKind) {
        throw new ConnectError(`${call.path.slice(1).replace("/", ".")} is not implemented`, Code.Unimplemented);
      }
      if (method.methodKind === "unary") await answerUnary(method as DescMethodUnary);
      else await answerStream(method as DescMethodStreaming);
    } catch (reason) {
      const error = ConnectError.from(reason, Code.Internal);
      finish(() => send.error(id, error));
    }
  };

  const cancel = (reason: ConnectError): void => {
    finish(() => {});
    window.release();
    controller.abort(reason);
  };
  return {
    done: run(),
    onFrame(frame) {
      switch (frame.kind) {
        case "message":
          inbox.push(frame.bytes);
          break;
        case "end":
          inbox.end();
          break;
        case "credit":
          window.taken(frame.messages, frame.bytes);
          break;
        case "cancel":
          cancel(frame.late ? deadlineExceeded() : callerLeft);
          break;
        default:
          throw new TypeError(`a host does not send "${frame.kind}" for a call`);
      }
    },
    cancel,
    release: () => window.release(),
  };
}
