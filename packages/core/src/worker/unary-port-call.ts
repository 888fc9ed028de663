import type { DescMethodUnary } from "@bufbuild/protobuf";
import { ConnectError, type UnaryResponse } from "@connectrpc/connect";
import { pathOf } from "../memory/method-table.ts";
import type { Frame } from "./frame.ts";
import { messageFromBytes, messageToBytes } from "./message-bytes.ts";
import { outOfTurn, PortCall, type PortCallRequest, type PortLane, responseHeader } from "./port-call.ts";

/** @throws {ConnectError} at once, for a message that cannot be sent. */
export function callUnaryByPort(
  lane: PortLane,
  method: DescMethodUnary,
  request: PortCallRequest & { readonly message: unknown },
): Promise<UnaryResponse> {
  const bytes = messageToBytes(method.input, request.message, lane.maxMessageBytes);
  const { promise, resolve, reject } = Promise.withResolvers<UnaryResponse>();
  const call = new UnaryPortCall(lane, method, request, resolve, reject);
  const { timeoutMs, bounds, header } = request;
  call.begin(lane.deadlines.leftMs(timeoutMs === undefined && bounds ? bounds : call), header, bytes);
  return promise;
}

class UnaryPortCall extends PortCall {
  readonly #method: DescMethodUnary;
  readonly #resolve: (response: UnaryResponse) => void;
  readonly #reject: (reason: ConnectError) => void;
  #header: Headers | undefined;
  #bytes: Uint8Array | undefined;

  constructor(
    lane: PortLane,
    method: DescMethodUnary,
    request: PortCallRequest,
    resolve: (response: UnaryResponse) => void,
    reject: (reason: ConnectError) => void,
  ) {
    super(lane, request);
    this.#method = method;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(timeoutMs: number | undefined, header: Headers | undefined, bytes: Uint8Array<ArrayBuffer>): void {
    const { send } = this.lane.port;
    send.open(this.id, { path: pathOf(this.#method), methodKind: "unary", timeoutMs, header });
    send.message(this.id, bytes);
    send.end(this.id, undefined);
  }

  override onFrame(frame: Frame): void {
    if (frame.kind === "error") {
      if (this.settle()) this.#reject(frame.error);
    } else if (frame.kind === "head" && this.#header === undefined) {
      this.#header = responseHeader(frame.header, "application/proto");
    } else if (frame.kind === "message" && this.#header !== undefined && this.#bytes === undefined) {
      this.#bytes = frame.bytes;
    } else if (frame.kind === "end" && this.#header !== undefined && this.#bytes !== undefined) {
      this.#succeed(this.#header, this.#bytes, frame.header ?? new Headers());
    } else {
      throw outOfTurn(frame.kind);
    }
  }

  #succeed(header: Headers, bytes: Uint8Array, trailer: Headers): void {
    if (!this.settle()) return;
    const method = this.#method;
    try {
      const message = messageFromBytes(method.output, bytes, this.lane.maxMessageBytes);
      this.#resolve({ stream: false, service: method.parent, method, header, message, trailer });
    } catch (reason) {
      this.#reject(ConnectError.from(reason));
    }
  }

  protected override onCut(error: ConnectError): void {
    this.#reject(error);
  }
}
