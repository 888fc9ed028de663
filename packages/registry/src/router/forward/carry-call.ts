import { constants } from "node:http2";
import type { BodyForm, CallerEvents, CallerStream } from "../exchange/caller-stream.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { endToEndHeaders, endToEndRequestHeaders, endToEndTrailers, takesTrailers } from "../headers/end-to-end.ts";
import { headerValue, withoutHeader } from "../headers/header-value.ts";
import { takeHeaders } from "../passed-headers.ts";
import { UnsentError } from "../upstream-pool/unsent-error.ts";
import type {
  UpstreamEvents,
  UpstreamRequest,
  UpstreamSlot,
  UpstreamStream,
} from "../upstream-pool/upstream-stream.ts";
import type { ForwardEnd, ForwardRequest, LostCause } from "./forwarder.ts";
import { type BodyPass, createBodyPass } from "./pass-body.ts";

type Phase = "connecting" | "sent" | "answering" | "answered" | "over";

/**
 * Carries one exchange to a provider and back, on a connection that `acquire` gives. Resolves when both sides are done.
 *
 * | phase      | event                        | next      | effect                                                   |
 * |------------|------------------------------|-----------|----------------------------------------------------------|
 * | connecting | room on a connection         | sent      | the request's head goes out, its body follows            |
 * | connecting | none                         | over      | unsent; the exchange is let go                           |
 * | connecting | caller gone                  | over      | aborted; the room is given back                          |
 * | sent       | interim answer               | sent      | passed on                                                |
 * | sent       | head of the answer           | answering | passed on; the request is kept no longer                 |
 * | sent       | lost, or refused unseen      | over      | lost, or unsent; the exchange is let go                  |
 * | answering  | end of the answer            | answered  | passed on, with trailers                                 |
 * | answering  | lost                         | over      | answered, cut; the caller sees a reset                   |
 * | answered   | provider has let go          | answered  | the caller is told to stop sending                       |
 * | answered   | caller gone                  | over      | answered                                                 |
 * | sent, answering | caller gone             | over      | aborted; the provider sees a reset                       |
 */
export function carryCall(
  exchange: Exchange,
  request: ForwardRequest,
  acquire: () => UpstreamSlot | Promise<UpstreamSlot>,
): Promise<ForwardEnd> {
  const { promise, resolve } = Promise.withResolvers<ForwardEnd>();
  let phase: Phase = "connecting";
  let upstream: UpstreamStream | undefined;
  let requestPass: BodyPass | undefined;
  let answerPass: BodyPass | undefined;
  let status = 0;
  let contentType = "";
  let grpcStatus: string | undefined;

  const finish = (end: ForwardEnd): void => {
    phase = "over";
    requestPass?.stop();
    answerPass?.stop();
    resolve(end);
  };
  const answered = (cut: LostCause | undefined): ForwardEnd => ({
    kind: "answered",
    status,
    contentType,
    grpcStatus,
    cut,
  });
  const letGo = (end: (replayable: boolean) => ForwardEnd): void => {
    const { replayable } = caller;
    caller.release();
    finish(end(replayable));
  };
  const notSent = (reason: unknown): void => {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    const cause = error instanceof UnsentError ? error.unsent : "unprocessed";
    letGo((replayable) => ({ kind: "unsent", cause, error, replayable }));
  };

  const callerEvents: CallerEvents = {
    onData: (chunk) => requestPass?.data(chunk),
    onEnd(trailers) {
      // What a caller may not say in a header it may not say in a trailer.
      requestPass?.end(trailers.length === 0 ? trailers : takeHeaders(endToEndTrailers(trailers)).passed);
    },
    onDrain: () => answerPass?.drained(),
    onClosed(end) {
      if (phase === "over") return;
      upstream?.cancel();
      const begun = phase === "answering" || phase === "answered";
      const whole = phase === "answered" && end === "finished";
      finish(whole ? answered(undefined) : { kind: "aborted", status: begun ? status : undefined });
    },
  };

  const upstreamEvents: UpstreamEvents = {
    onInform(interim, headers) {
      if (phase === "sent" && interim > 100 && interim < 200) caller.inform(interim, endToEndHeaders(headers));
      else if (phase === "sent" && interim === 100 && expectsContinue) caller.inform(interim, endToEndHeaders(headers));
    },
    onAnswer(answerStatus, headers, form) {
      if (phase !== "sent" || upstream === undefined) return;
      const bodyless = form === "none" || request.method === "HEAD" || answerStatus === 204 || answerStatus === 304;
      const shown: BodyForm = bodyless ? "none" : form;
      status = answerStatus;
      contentType = headerValue(headers, "content-type") ?? "";
      grpcStatus = headerValue(headers, "grpc-status");
      try {
        caller.respond(status, endToEndHeaders(headers), shown);
      } catch (reason) {
        upstream.cancel();
        const error = new Error("the provider's answer cannot be passed on", { cause: reason });
        letGo(() => ({ kind: "lost", cause: "stream", error }));
        return;
      }
      phase = bodyless ? "answered" : "answering";
      caller.forget();
      if (!bodyless) answerPass = createBodyPass(upstream, caller);
      if (form !== "none") upstream.resume();
    },
    onData: (chunk) => answerPass?.data(chunk),
    onEnd(trailers) {
      if (phase !== "answering") return;
      phase = "answered";
      grpcStatus ??= headerValue(trailers, "grpc-status");
      answerPass?.end(trailers.length === 0 ? trailers : endToEndTrailers(trailers));
    },
    onDrain: () => requestPass?.drained(),
    onClosed(loss) {
      upstream = undefined;
      const cause = loss?.cause === "connection" ? "connection" : "stream";
      if (phase === "sent") {
        const error = loss?.error ?? new Error("the provider ended the call without an answer");
        if (loss?.cause === "unprocessed") notSent(error);
        else letGo(() => ({ kind: "lost", cause, error }));
      } else if (phase === "answering") {
        finish(answered(cause));
        caller.reset(constants.NGHTTP2_INTERNAL_ERROR);
      } else if (phase === "answered") {
        requestPass?.stop();
        caller.stop();
      }
    },
  };

  const caller: CallerStream = exchange.carry(callerEvents);
  const expectsContinue = exchange.httpVersion === "2.0";

  const send = (slot: UpstreamSlot): void => {
    if (phase !== "connecting") {
      slot.giveBack();
      return;
    }
    const { body } = caller;
    try {
      upstream = slot.open(headOf(exchange, request, body), upstreamEvents);
    } catch (reason) {
      slot.giveBack();
      notSent(new UnsentError("request", "the request cannot be written in the provider's version of HTTP", reason));
      return;
    }
    phase = "sent";
    if (body === "none") return;
    requestPass = createBodyPass(caller, upstream);
    caller.resume();
  };

  const slot = acquire();
  if (slot instanceof Promise) slot.then(send, (reason: unknown) => phase === "connecting" && notSent(reason));
  else if (caller.body === "none") send(slot);
  else caller.whenKnown(() => send(slot));
  return promise;
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
