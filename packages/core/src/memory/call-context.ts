import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { requestHeader } from "@connectrpc/connect/protocol-connect";
import { type Peer, peerKey } from "@cpg/resilience";
import type { Deadlines, Timed } from "./deadlines.ts";
import type { MethodEntry } from "./method-entry.ts";

/** What every call of a server has in common. */
export interface CallSurroundings {
  readonly deadlines: Deadlines;
  /** Sets context values of one call, beside the peer. It may change the headers: nobody has seen them before. */
  readonly contextValues: ((values: ContextValues, requestHeader: Headers) => void) | undefined;
}

const memoryPeer: Peer = Object.freeze({ network: "memory", address: undefined, port: undefined, tls: undefined });
const noDeadline = () => undefined;
const contentType = { unary: "application/proto", stream: "application/connect+proto" };

/**
 * The context of a handler, whose parts come to be when they are touched: most handlers touch none, and each costs as much
 * as the rest of a call. A class for its accessors: those of a literal are made anew for each object, at ten times the
 * price of a call. They are not own properties: a copy by spread lacks them.
 */
export class CallContext implements HandlerContext {
  readonly method: DescMethod;
  readonly url: string;
  readonly requestMethod = "POST";
  readonly protocolName = "connect";
  readonly timeoutMs: () => number | undefined;
  readonly #callerHeader: Headers | undefined;
  readonly #timed: Timed;
  readonly #surroundings: CallSurroundings;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;
  #controller: AbortController | undefined;
  #ended = false;
  #endReason: unknown;

  constructor(
    { served, url }: MethodEntry,
    callerHeader: Headers | undefined,
    timed: Timed,
    surroundings: CallSurroundings,
  ) {
    this.method = served.method;
    this.url = url;
    this.#callerHeader = callerHeader;
    this.#timed = timed;
    this.#surroundings = surroundings;
    this.timeoutMs = timed.timeoutMs === undefined ? noDeadline : () => surroundings.deadlines.leftMs(timed);
  }

  get service(): DescService {
    return this.method.parent;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort(this.#endReason);
    return this.#controller.signal;
  }

  get requestHeader(): Headers {
    if (this.#requestHeader === undefined) {
      const { timeoutMs } = this.#timed;
      this.#requestHeader = requestHeader(this.method.methodKind, true, timeoutMs, this.#callerHeader, true);
      if (this.#values === undefined && this.#surroundings.contextValues) this.#readValues();
    }
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers({
      "content-type": this.method.methodKind === "unary" ? contentType.unary : contentType.stream,
    });
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  get values(): ContextValues {
    return this.#values ?? this.#readValues();
  }

  /** The headers if somebody touched them. */
  get touchedHeader(): Headers | undefined {
    return this.#responseHeader;
  }

  get touchedTrailer(): Headers | undefined {
    return this.#responseTrailer;
  }

  #readValues(): ContextValues {
    const values = createContextValues().set(peerKey, memoryPeer);
    this.#values = values;
    this.#surroundings.contextValues?.(values, this.requestHeader);
    return values;
  }

  /** Aborts the signal, whenever it is looked at. The first reason stays. */
  end(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endReason = reason;
    this.#controller?.abort(reason);
  }
}
