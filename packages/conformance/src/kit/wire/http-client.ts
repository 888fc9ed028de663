import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { BadChoice } from "../rule/bad-choice.ts";
import type { HttpExchange, HttpRequest } from "./http-exchange.ts";
import { openHttp1 } from "./http1-exchange.ts";
import { openHttp2 } from "./http2-exchange.ts";

export type HttpVersion = "1.1" | "2";

export interface HttpClientOptions {
  /** http://host:port or https://host:port, with a path if need be. */
  readonly endpoint: string;
  /** Authority that signed the certificate of an https endpoint, PEM. Default: those of Node. */
  readonly ca?: string | undefined;
}

/** Sends requests as they are given: no redirect, no retry, no normalised path. Keeps its connections. */
export interface HttpClient {
  readonly endpoint: string;
  open(version: HttpVersion, request: HttpRequest, signal: AbortSignal): HttpExchange;
  close(): void;
}

/** @throws {BadChoice} for an endpoint that is no http URL. */
export function createHttpClient({ endpoint, ca }: HttpClientOptions): HttpClient {
  const url = readEndpoint(endpoint);
  const secure = url.protocol === "https:";
  const basePath = url.pathname.replace(/\/$/, "");
  const agentOptions = { keepAlive: true, ...(ca !== undefined && { ca }) };
  const agent = secure ? new https.Agent(agentOptions) : new http.Agent(agentOptions);
  let session: http2.ClientHttp2Session | undefined;

  const sessionNow = (): http2.ClientHttp2Session => {
    if (session === undefined || session.closed || session.destroyed) {
      session = http2.connect(url.origin, ca === undefined ? {} : { ca });
      session.on("error", () => {}); // the streams tell
    }
    return session;
  };

  return {
    endpoint: url.origin + basePath,
    open(version, request, signal) {
      const path = basePath + request.path;
      return version === "1.1"
        ? openHttp1({ url, agent }, { ...request, path }, signal)
        : openHttp2(sessionNow(), { ...request, path }, signal);
    },
    close() {
      agent.destroy();
      session?.destroy();
    },
  };
}

/** @throws {BadChoice} naming the rule. */
function readEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new BadChoice("endpoint", `must be http://host:port or https://host:port, not ${JSON.stringify(endpoint)}`);
  }
  return url;
}
