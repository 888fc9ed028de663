import type { DescMethodStreaming, Message } from "@bufbuild/protobuf";
import { ConnectError, type StreamResponse } from "@connectrpc/connect";
import { callerLeft } from "../memory/call-ends.ts";
import { createHandOver, type HandOver } from "../memory/hand-over.ts";
import { pathOf } from "../memory/method-table.ts";
import { createRequestSource, type RequestSource } from "../memory/request-source.ts";
import type { Frame } from "./frame.ts";
import { createInbox, type Inbox } from "./inbox.ts";
import { messageFromBytes, messageToBytes } from "./message-bytes.ts";
import { outOfTurn, PortCall, type PortCallRequest, type PortLane, responseHeader } from "./port-call.ts";
import { createSendWindow, type SendWindow } from "./stream-window.ts";

export interface StreamPortCallRequest extends PortCallRequest {
  readonly messages: AsyncIterable<unknown>;
}

/**
 * Resolves with the first message or the end, as headers travel with them. Messages of the caller are sent as the handler
 * reads them, and read ahead of it by the window at most; the same holds the other way.
 */
export function callStreamByPort(
  lane: PortLane,
  method: DescMethodStreaming,
  request: StreamPortCallRequest,
): Promise<StreamResponse> {
  const call = new StreamPortCall(lane, method, request);
  const { timeoutMs, bounds, header } = request;
  void call.run(lane.deadlines.leftMs(timeoutMs === undefined && bounds ? bounds : call), header);
  return call.started;
}

class StreamPortCall extends PortCall {
  readonly started: Promise<StreamResponse>;
  readonly #start: PromiseWithResolvers<StreamResponse>;
  readonly #method: DescMethodStreaming;
  readonly #source: RequestSource;
  readonly #window: SendWindow;
  readonly #inbox: Inbox;
  readonly #responses: HandOver<Message>;
  readonly #trailer = new Headers();
  #hasHead = false;
  #answered = false;

  constructor(lane: PortLane, method: DescMethodStreaming, request: StreamPortCallRequest) {
    super(lane, request);
    this.#start = Promise.withResolvers();
    this.started = this.#start.promise;
    this.#method = method;
    this.#source = createRequestSource(request.messages);
    this.#window = createSendWindow();
    this.#inbox = createInbox((messages, bytes) => lane.port.send.credit(this.id, messages, bytes));
    this.#responses = createHandOver<Message>({
      pull: () => void this.#inbox.pull().then(this.#arrived).catch(this.#refuse),
      onLeave: () => this.cut(callerLeft, callerLeft),
    });
  }

  /** Sends what the caller has to say. Never rejects. */
  async run(timeoutMs: number | undefined, header: Headers | undefined): Promise<void> {
    const { port, maxMessageBytes } = this.lane;
    const { methodKind, input } = this.#method;
    port.send.open(this.id, { path: pathOf(this.#method), methodKind, timeoutMs, header });
    try {
      for (;;) {
        await this.#window.room();
        if (this.#isOver()) return;
        const result = await this.#source.next();
        if (this.#isOver()) return;
        if (result.done) break;
        const bytes = messageToBytes(input, result.value, maxMessageBytes);
        this.#window.sent(bytes.byteLength);
        port.send.message(this.id, bytes);
      }
      port.send.end(this.id, undefined);
    } catch (reason) {
      if (!this.#answered) this.cut(ConnectError.from(reason), callerLeft);
    }
  }

  override onFrame(frame: Frame): void {
    if (frame.kind === "credit") {
      this.#window.taken(frame.messages, frame.bytes);
    } else if (frame.kind === "error") {
      this.#answer();
      this.#inbox.end(frame.error);
      if (!this.#hasHead && this.settle()) this.#start.reject(frame.error);
    } else if (frame.kind === "head" && !this.#hasHead) {
      this.#hasHead = true;
      this.#start.resolve(this.#response(responseHeader(frame.header, "application/connect+proto")));
    } else if (frame.kind === "message" && this.#hasHead) {
      this.#inbox.push(frame.bytes);
    } else if (frame.kind === "end" && this.#hasHead) {
      this.#answer();
      frame.header?.forEach((value, name) => {
        this.#trailer.append(name, value);
      });
      this.#inbox.end();
    } else {
      throw outOfTurn(frame.kind);
    }
  }

  #response(header: Headers): StreamResponse {
    const method = this.#method;
    return {
      stream: true,
      service: method.parent,
      method,
      header,
      trailer: this.#trailer,
      message: this.#responses,
    };
  }

  /** The plugin is through with the call; the caller may not have read everything. */
  #answer(): void {
    this.#answered = true;
    this.lane.port.delete(this.id);
    this.#window.release();
    this.#source.close();
  }

  #isOver(): boolean {
    return this.#answered || this.settled;
  }

  readonly #arrived = (bytes: Uint8Array | undefined): void => {
    if (bytes === undefined) {
      this.settle();
      this.#responses.put({ done: true, value: undefined });
    } else {
      const { output } = this.#method;
      this.#responses.put({ done: false, value: messageFromBytes(output, bytes, this.lane.maxMessageBytes) });
    }
  };

  readonly #refuse = (reason: unknown): void => {
    const error = ConnectError.from(reason);
    this.#responses.refuse(error);
    this.cut(error, callerLeft); // tells the plugin, unless this is its own error
  };

  protected override onCut(error: ConnectError): void {
    this.#window.release();
    this.#source.close(error);
    this.#inbox.clear();
    this.#responses.fail(error);
    this.#start.reject(error);
  }
}
