import type { DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import type { UnaryResponse } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";
import { ownAccessor } from "./own-accessor.ts";

/** A response whose headers come to be when they are looked at, unless the handler has set some. See `CallContext`. */
export class LazyUnaryResponse implements UnaryResponse {
  declare readonly stream: false;
  declare readonly service: DescService;
  declare readonly method: DescMethodUnary;
  declare readonly message: Message;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary, message: Message, context: CallContext | undefined) {
    this.stream = false;
    this.service = method.parent;
    this.method = method;
    this.message = message;
    if (context === undefined || !context.touched) return;
    const { touchedHeader, touchedTrailer } = context;
    if (touchedHeader !== undefined) this.#header = new Headers(touchedHeader);
    if (touchedTrailer !== undefined) this.#trailer = new Headers(touchedTrailer);
  }

  get header(): Headers {
    this.#header ??= new Headers({ "content-type": "application/proto" });
    return this.#header;
  }

  get trailer(): Headers {
    this.#trailer ??= new Headers();
    return this.#trailer;
  }
}

/**
 * The same for interceptors, which may copy it by spread: its parts are its own. The trailer is made at once, as empty
 * Headers are cheaper than an accessor.
 */
export class SpreadableUnaryResponse implements UnaryResponse {
  declare readonly stream: false;
  declare readonly service: DescService;
  declare readonly method: DescMethodUnary;
  declare readonly message: Message;
  declare readonly trailer: Headers;
  #header: Headers | undefined;

  constructor(method: DescMethodUnary, message: Message, context: CallContext | undefined) {
    Object.defineProperty(this, "header", ownHeader);
    this.stream = false;
    this.service = method.parent;
    this.method = method;
    this.message = message;
    this.trailer = new Headers(context?.touchedTrailer);
    if (context?.touchedHeader !== undefined) this.#header = new Headers(context.touchedHeader);
  }

  get header(): Headers {
    this.#header ??= new Headers({ "content-type": "application/proto" });
    return this.#header;
  }
}

const ownHeader = ownAccessor(SpreadableUnaryResponse.prototype, "header");
