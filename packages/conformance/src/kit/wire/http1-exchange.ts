import http from "node:http";
import https from "node:https";
import { type HttpExchange, type HttpHead, type HttpRequest, plainHeaders } from "./http-exchange.ts";

export interface Http1Target {
  readonly url: URL;
  readonly agent: http.Agent;
}

export function openHttp1({ url, agent }: Http1Target, request: HttpRequest, signal: AbortSignal): HttpExchange {
  const { body, path, headers = {}, method = body === undefined ? "GET" : "POST" } = request;
  const send = url.protocol === "https:" ? https.request : http.request;
  const sent = send({
    agent,
    signal,
    method,
    path,
    headers: { ...headers, ...(body instanceof Uint8Array && { "content-length": String(body.length) }) },
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || (url.protocol === "https:" ? 443 : 80),
  });
  const { promise: response, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  let answered: http.IncomingMessage | undefined;
  sent.once("response", (answer) => {
    answered = answer;
    resolve(answer);
  });
  sent.on("error", reject);
  response.catch(() => {}); // also told by `head`
  if (body === "open") sent.flushHeaders();
  else sent.end(body);

  const head = response.then(
    (answer): HttpHead => ({ status: answer.statusCode ?? 0, headers: plainHeaders(answer.headers) }),
  );
  head.catch(() => {});
  return {
    head,
    chunks: {
      async *[Symbol.asyncIterator]() {
        yield* (await response) as AsyncIterable<Buffer>;
      },
    },
    trailers: () => plainHeaders(answered?.trailers ?? {}),
    write: (bytes) => void sent.write(bytes),
    end: () => void sent.end(),
    cancel: () => void sent.destroy(),
  };
}
