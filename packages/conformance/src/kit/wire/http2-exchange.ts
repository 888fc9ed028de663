import { type ClientHttp2Session, constants } from "node:http2";
import { type HttpExchange, type HttpHead, type HttpRequest, plainHeaders } from "./http-exchange.ts";

export function openHttp2(session: ClientHttp2Session, request: HttpRequest, signal: AbortSignal): HttpExchange {
  const { body, path, headers = {}, method = body === undefined ? "GET" : "POST" } = request;
  const stream = session.request(
    { ...headers, ":method": method, ":path": path },
    { signal, endStream: body === undefined },
  );
  const { promise: head, resolve, reject } = Promise.withResolvers<HttpHead>();
  let trailers: Record<string, string> = {};
  stream.once("response", (answer) => resolve({ status: answer[":status"] ?? 0, headers: plainHeaders(answer) }));
  stream.once("trailers", (fields) => {
    trailers = plainHeaders(fields);
  });
  stream.on("error", reject);
  stream.once("close", () => reject(new Error("the stream was closed without an answer")));
  head.catch(() => {}); // also told to whoever reads it
  if (body instanceof Uint8Array) stream.end(body);

  return {
    head,
    chunks: stream,
    trailers: () => trailers,
    write: (bytes) => void stream.write(bytes),
    end: () => void stream.end(),
    // With the code of no error Node 22.18 never stops writing the end of a stream that is open still.
    cancel: () => stream.close(constants.NGHTTP2_CANCEL),
  };
}
