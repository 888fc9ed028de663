import { constants } from "node:http2";
import type { BodyForm, CallerEvents, CallerStream } from "../exchange/caller-stream.ts";
import type { Exchange, ExchangeEnd } from "../exchange/exchange.ts";
import { endToEndHeaders, endToEndRequestHeaders, endToEndTrailers, takesTrailers } from "../headers/end-to-end.ts";
import { headerValue, withoutHeader } from "../headers/header-value.ts";
import { takeHeaders } from "../passed-headers.ts";
import { UnsentError } from "../upstream-pool/unsent-error.ts";
import type {
  UpstreamEvents,
  UpstreamLoss,
  UpstreamRequest,
  UpstreamSlot,
  UpstreamStream,
} from "../upstream-pool/upstream-stream.ts";
import { BodyPass } from "./body-pass.ts";
import type { ForwardEnd, ForwardRequest, LostCause } from "./forwarder.ts";

/**
 * Carries one exchange to a provider and back, on a connection that `acquire` gives. Resolves when both sides are done.
 *
 * | phase           | event                     | next      | effect                                                  |
 * |-----------------|---------------------------|-----------|---------------------------------------------------------|
 * | connecting      | room on a connection      | sent      | the head of the request goes out, its body follows      |
 * | connecting      | none                      | over      | unsent; the exchange is let go                          |
 * | connecting      | caller gone               | over      | aborted; the room is given back when it comes           |
 * | sent            | interim answer            | sent      | passed on                                               |
 * | sent            | head of the answer        | answering | passed on; the request's body is kept no longer         |
 * | sent            | head of an answer without body | answered | passed on                                          |
 * | sent            | lost, or refused unseen   | over      | lost, or unsent; the exchange is let go                 |
 * | answering       | end of the answer         | answered  | passed on, with its trailers                            |
 * | answering       | lost                      | over      | answered, but cut: the caller sees a reset              |
 * | answered        | provider lets go          | answered  | the caller is told to send no more                      |
 * | answered        | caller has its answer     | over      | answered                                                |
 * | sent, answering, answered | caller gone     | over      | aborted; the provider sees a reset                      |
 */
export function carryCall(
  exchange: Exchange,
  request: ForwardRequest,
  acquire: () => UpstreamSlot | Promise<UpstreamSlot>,
): Promise<ForwardEnd> {
  return new Promise((resolve) => {
    new CarriedCall(exchange, request, resolve).start(acquire());
  });
}

type Phase = "connecting" | "sent" | "answering" | "answered" | "over";

/** A class for the sake of speed, as exchanges are. */
class CarriedCall implements UpstreamEvents {
  readonly #exchange: Exchange;
  readonly #request: ForwardRequest;
  readonly #resolve: (end: ForwardEnd) => void;
  readonly #caller: CallerStream;
  #phase: Phase = "connecting";
  #upstream: UpstreamStream | undefined;
  #requestPass: BodyPass | undefined;
  #answerPass: BodyPass | undefined;
  #status = 0;
  #contentType = "";
  #grpcStatus: string | undefined;

  constructor(exchange: Exchange, request: ForwardRequest, resolve: (end: ForwardEnd) => void) {
    this.#exchange = exchange;
    this.#request = request;
    this.#resolve = resolve;
    this.#caller = exchange.carry(new CallerSide(this));
  }

  start(slot: UpstreamSlot | Promise<UpstreamSlot>): void {
    if (slot instanceof Promise) {
      slot.then(
        (given) => this.#send(given),
        (reason: unknown) => this.#phase === "connecting" && this.#notSent(reason),
      );
    } else if (this.#caller.body === "none") {
      this.#send(slot);
    } else {
      this.#caller.whenKnown(() => this.#send(slot));
    }
  }

  #send(slot: UpstreamSlot): void {
    if (this.#phase !== "connecting") {
      slot.giveBack();
      return;
    }
    const caller = this.#caller;
    const { body } = caller;
    try {
      checkCoding(this.#exchange);
      this.#upstream = slot.open(headOf(this.#exchange, this.#request, body), this);
    } catch (reason) {
      slot.giveBack();
      this.#notSent(
        reason instanceof UnsentError ? reason : new UnsentError("request", "the request cannot be passed on", reason),
      );
      return;
    }
    this.#phase = "sent";
    if (body === "none") return;
    this.#requestPass = new BodyPass(caller, this.#upstream);
    caller.resume();
  }

  // What the caller does.

  onRequestData(chunk: Buffer): void {
    this.#requestPass?.data(chunk);
  }

  onRequestEnd(trailers: readonly string[]): void {
    // What a caller may not say in a header it may not say in a trailer.
    this.#requestPass?.end(trailers.length === 0 ? trailers : takeHeaders(endToEndTrailers(trailers)).passed);
  }

  onAnswerDrain(): void {
    this.#answerPass?.drained();
  }

  onCallerClosed(end: ExchangeEnd): void {
    if (this.#phase === "over") return;
    this.#upstream?.cancel();
    const begun = this.#phase === "answering" || this.#phase === "answered";
    const whole = this.#phase === "answered" && end === "finished";
    this.#finish(whole ? this.#answered(undefined) : { kind: "aborted", status: begun ? this.#status : undefined });
  }

  // What the provider does.

  onInform(status: number, headers: readonly string[]): void {
    // To go on, Node's server of HTTP/1.1 has told its caller itself.
    if (this.#phase !== "sent" || (status === 100 && this.#exchange.httpVersion !== "2.0")) return;
    if (status < 100 || status > 199 || status === 101) return;
    try {
      this.#caller.inform(status, endToEndHeaders(headers));
    } catch {
      // It cannot be written for the caller, who can do without.
    }
  }

  onAnswer(status: number, headers: readonly string[], form: BodyForm): void {
    const upstream = this.#upstream;
    if (this.#phase !== "sent" || upstream === undefined) return;
    const bodyless = form === "none" || this.#request.method === "HEAD" || status === 204 || status === 304;
    try {
      this.#caller.respond(status, endToEndHeaders(headers), bodyless ? "none" : form);
    } catch (reason) {
      upstream.cancel();
      this.#lost("stream", new Error("the answer of the provider cannot be passed on", { cause: reason }));
      return;
    }
    this.#status = status;
    this.#contentType = headerValue(headers, "content-type") ?? "";
    this.#grpcStatus = headerValue(headers, "grpc-status");
    this.#phase = bodyless ? "answered" : "answering";
    this.#caller.forget();
    if (!bodyless) this.#answerPass = new BodyPass(upstream, this.#caller);
    if (form !== "none") upstream.resume();
  }

  onData(chunk: Buffer): void {
    this.#answerPass?.data(chunk);
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#phase !== "answering") return;
    this.#phase = "answered";
    if (trailers.length === 0) {
      this.#answerPass?.end(trailers);
      return;
    }
    this.#grpcStatus ??= headerValue(trailers, "grpc-status");
    this.#answerPass?.end(endToEndTrailers(trailers));
  }

  onDrain(): void {
    this.#requestPass?.drained();
  }

  onClosed(loss: UpstreamLoss | undefined): void {
    this.#upstream = undefined;
    const cause = loss === undefined || loss.cause === "unprocessed" ? "stream" : loss.cause;
    if (this.#phase === "sent") {
      const error = loss?.error ?? new Error("the provider ended the call without an answer");
      if (loss?.cause === "unprocessed") this.#notSent(error);
      else this.#lost(cause, error);
    } else if (this.#phase === "answering") {
      this.#finish(this.#answered(cause));
      this.#caller.reset(constants.NGHTTP2_INTERNAL_ERROR);
    } else if (this.#phase === "answered") {
      this.#requestPass?.stop();
      this.#caller.stop();
    }
  }

  // How it ends.

  #notSent(reason: unknown): void {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    const cause = error instanceof UnsentError ? error.unsent : "unprocessed";
    const { replayable } = this.#caller;
    this.#caller.release();
    this.#finish({ kind: "unsent", cause, error, replayable });
  }

  #lost(cause: LostCause, error: Error): void {
    this.#caller.release();
    this.#finish({ kind: "lost", cause, error });
  }

  #answered(cut: LostCause | undefined): ForwardEnd {
    const [status, contentType, grpcStatus] = [this.#status, this.#contentType, this.#grpcStatus];
    return { kind: "answered", status, contentType, grpcStatus, cut };
  }

  #finish(end: ForwardEnd): void {
    this.#phase = "over";
    this.#requestPass?.stop();
    this.#answerPass?.stop();
    this.#resolve(end);
  }
}

/** What a call hears of its caller, under names of its own. */
class CallerSide implements CallerEvents {
  readonly #call: CarriedCall;

  constructor(call: CarriedCall) {
    this.#call = call;
  }

  onData(chunk: Buffer): void {
    this.#call.onRequestData(chunk);
  }

  onEnd(trailers: readonly string[]): void {
    this.#call.onRequestEnd(trailers);
  }

  onDrain(): void {
    this.#call.onAnswerDrain();
  }

  onClosed(end: ExchangeEnd): void {
    this.#call.onCallerClosed(end);
  }
}

/** Of what codes a body for one connection, RFC 9112, section 7, Node takes off chunks only. */
function checkCoding({ httpVersion, headers }: Exchange): void {
  const coding = httpVersion === "2.0" ? undefined : headerValue(headers, "transfer-encoding");
  if (coding === undefined || coding.toLowerCase() === "chunked") return;
  throw new UnsentError("request", "a transfer coding other than chunked is not supported");
}

function headOf(exchange: Exchange, { method, path, headers }: ForwardRequest, body: BodyForm): UpstreamRequest {
  const passed = endToEndRequestHeaders(headers);
  return {
    method,
    path,
    // Node's server of HTTP/1.1 has told its caller to go on itself.
    headers: exchange.httpVersion === "2.0" ? passed : withoutHeader(passed, "expect"),
    body,
    takesTrailers: takesTrailers(headers),
  };
}
