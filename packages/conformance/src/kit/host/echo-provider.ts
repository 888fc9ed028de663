import type { AddressInfo } from "node:net";
import type { HealthState } from "@cpg/core/gen/connectplugin/v1/health_pb";
import { GetHealthResponseSchema } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { type AnyRequest, type AnyResponse, type DualListener, listenDual, writeTo } from "../wire/dual-listener.ts";
import { frame } from "../wire/envelope.ts";
import { plainHeaders } from "../wire/http-exchange.ts";
import { encodeMessage } from "../wire/rpc-format.ts";

/** A request as the kit's provider got it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the kit's plugins provide: it says what it was asked. */
export interface EchoProvider {
  /** As the host reaches it. */
  readonly baseUrl: string;
  /** Resolves when the host has asked for its health. */
  readonly probed: Promise<void>;
  close(): Promise<void>;
}

export interface ProviderPlace {
  /** Address to listen on. Default 127.0.0.1. */
  readonly listenHost?: string | undefined;
  /** Name or address of this machine, as the host reaches it. Default: `listenHost`. */
  readonly publicHost?: string | undefined;
}

export interface EchoProviderOptions extends ProviderPlace {
  /** Answer to PluginControl.GetHealth. Default: 404, as of a plugin that does not serve it. */
  readonly health?: HealthState | undefined;
}

/**
 * Under any path that ends with
 * - Echo: 200 with the request as JSON (`SeenRequest`).
 * - Teapot: 418 with a header and a body.
 * - Stream: "first" at once, then each chunk of the request as it comes, to its end.
 * - Grpc: the body, as the answer of a gRPC call, with trailers.
 */
export async function startEchoProvider(options: EchoProviderOptions = {}): Promise<EchoProvider> {
  const { listenHost = "127.0.0.1", publicHost = listenHost, health } = options;
  const { promise: probed, resolve: tellProbed } = Promise.withResolvers<void>();
  const listener: DualListener = await listenDual({
    host: listenHost,
    handle(request, response) {
      request.on("error", () => {});
      response.on("error", () => {});
      const [path = ""] = (request.url ?? "").split("?");
      if (path.endsWith("/connectplugin.v1.PluginControl/GetHealth")) {
        answerHealth(request, response, health);
        response.once("finish", tellProbed);
      } else if (path.endsWith("/Echo")) answerEcho(request, response);
      else if (path.endsWith("/Teapot")) answer(response, 418, { "x-kit-answer": "teapot" }, "short and stout");
      else if (path.endsWith("/Stream")) answerStream(request, response);
      else if (path.endsWith("/Grpc")) answerGrpc(request, response);
      else answer(response, 404, {}, "not here\n");
    },
  });
  return { baseUrl: `http://${publicHost}:${listener.port}`, probed, close: () => listener.close() };
}

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<AddressInfo["port"]> {
  const listener = await listenDual({ handle: (_request, response) => void response.end() });
  await listener.close();
  return listener.port;
}

type Headers = Readonly<Record<string, string>>;

function answer(response: AnyResponse, status: number, headers: Headers, body: string): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}

/** In the form in which the host asks: of Connect, gRPC or gRPC-Web. */
function answerHealth(request: AnyRequest, response: AnyResponse, health: HealthState | undefined): void {
  request.resume();
  if (health === undefined) {
    answer(response, 404, { "content-type": "text/plain" }, "not here\n");
    return;
  }
  const type = request.headers["content-type"] ?? "";
  const codec = type.endsWith("json") ? "json" : "proto";
  const message = encodeMessage(codec, GetHealthResponseSchema, { state: health, reason: "kit" });
  response.statusCode = 200;
  response.setHeader("content-type", type);
  if (type.startsWith("application/grpc-web")) {
    writeTo(response, frame(message));
    writeTo(response, frame(Buffer.from("grpc-status: 0\r\n"), 0x80));
  } else if (type.startsWith("application/grpc")) {
    response.setHeader("trailer", "grpc-status");
    writeTo(response, frame(message));
    response.addTrailers({ "grpc-status": "0" });
  } else writeTo(response, Buffer.from(message));
  response.end();
}

function answerEcho(request: AnyRequest, response: AnyResponse): void {
  const parts: Buffer[] = [];
  request.on("data", (chunk: Buffer) => parts.push(chunk));
  request.on("end", () => {
    const seen: SeenRequest = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: plainHeaders(request.headers),
      body: Buffer.concat(parts).toString("base64"),
    };
    answer(response, 200, { "content-type": "application/json" }, JSON.stringify(seen));
  });
}

function answerStream(request: AnyRequest, response: AnyResponse): void {
  response.statusCode = 200;
  response.setHeader("content-type", "application/octet-stream");
  writeTo(response, "first");
  request.on("data", (chunk: Buffer) => writeTo(response, chunk));
  request.on("end", () => response.end());
}

function answerGrpc(request: AnyRequest, response: AnyResponse): void {
  const parts: Buffer[] = [];
  request.on("data", (chunk: Buffer) => parts.push(chunk));
  request.on("end", () => {
    response.statusCode = 200;
    response.setHeader("content-type", "application/grpc+proto");
    response.setHeader("trailer", "grpc-status, x-kit-trailer");
    const whole = Buffer.concat(parts);
    writeTo(response, whole.length === 0 ? frame(whole) : whole);
    response.addTrailers({ "grpc-status": "0", "x-kit-trailer": "yes" });
    response.end();
  });
}
