import type { DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import type { UnaryResponse } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";
import { ownAccessor } from "./own-accessor.ts";

/** A response whose headers come to be when they are looked at, unless the handler has set some. See `CallContext`. */
export class LazyUnaryResponse implements UnaryResponse {
  declare readonly stream: false;
  declare readonly method: DescMethodUnary;
  declare readonly message: Message;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary, message: Message, context: CallContext | undefined) {
    this.stream = false;
    this.method = method;
    this.message = message;
    if (context === undefined || !context.touched) return;
    const { touchedHeader, touchedTrailer } = context;
    if (touchedHeader !== undefined) this.#header = new Headers(touchedHeader);
    if (touchedTrailer !== undefined) this.#trailer = new Headers(touchedTrailer);
  }

  get service(): DescService {
    return this.method.parent;
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

const ownService = ownAccessor(LazyUnaryResponse.prototype, "service");
const ownHeader = ownAccessor(LazyUnaryResponse.prototype, "header");
const ownTrailer = ownAccessor(LazyUnaryResponse.prototype, "trailer");

/** The same for interceptors, which may copy it by spread. */
export function spreadable(response: LazyUnaryResponse): UnaryResponse {
  Object.defineProperty(response, "service", ownService);
  Object.defineProperty(response, "header", ownHeader);
  Object.defineProperty(response, "trailer", ownTrailer);
  return response;
}
