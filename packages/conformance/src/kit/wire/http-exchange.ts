/** A request to be sent as it is. */
export interface HttpRequest {
  /** Default: POST with a body, else GET. */
  readonly method?: string | undefined;
  /** With the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** "open": it is written later. */
  readonly body?: Uint8Array | "open" | undefined;
}

export interface HttpHead {
  readonly status: number;
  /** Names in lower case; several values of one name joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpExchange {
  /** Rejects when there is no answer. */
  readonly head: Promise<HttpHead>;
  /** Bytes as they come; to be read once. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Once all bytes have come. */
  trailers(): Readonly<Record<string, string>>;
  write(bytes: Uint8Array): void;
  end(): void;
  /** Breaks it off. */
  cancel(): void;
}

/** A whole answer. */
export interface HttpAnswer extends HttpHead {
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

const maxBodyBytes = 16 * 1024 * 1024;

/** @throws {Error} for more than 16 MiB. */
export async function readWhole(exchange: HttpExchange): Promise<HttpAnswer> {
  const head = await exchange.head;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of exchange.chunks) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) {
      exchange.cancel();
      throw new Error(`an answer of more than ${maxBodyBytes} bytes`);
    }
    parts.push(chunk);
  }
  return { ...head, body: Buffer.concat(parts), trailers: exchange.trailers() };
}

/** Headers of Node as plain text; pseudo headers are left out. */
export function plainHeaders(headers: NodeJS.Dict<string | string[] | number>): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":")) continue;
    plain[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : String(value);
  }
  return plain;
}
