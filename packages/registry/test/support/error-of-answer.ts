import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import type { RawAnswer } from "./raw-request.ts";

/** The forms in which a caller can be told of an error. */
export const callerProtocols = [
  { protocol: "plain", contentType: "text/plain", http: "1.1" },
  { protocol: "plain", contentType: "text/plain", http: "2" },
  { protocol: "connect", contentType: "application/proto", http: "1.1" },
  { protocol: "connect", contentType: "application/json", http: "2" },
  { protocol: "connect-stream", contentType: "application/connect+proto", http: "1.1" },
  { protocol: "connect-stream", contentType: "application/connect+json", http: "2" },
  { protocol: "grpc", contentType: "application/grpc", http: "2" },
  { protocol: "grpc", contentType: "application/grpc+proto", http: "2" },
  { protocol: "grpc-web", contentType: "application/grpc-web+proto", http: "1.1" },
  { protocol: "grpc-web", contentType: "application/grpc-web", http: "2" },
] as const;

export type CallerProtocol = (typeof callerProtocols)[number]["protocol"];

/**
 * The code of an error, where that protocol has it: HTTP status and JSON; the last message of a stream; grpc-status. And
 * the HTTP status.
 */
export function errorOf(answer: RawAnswer, protocol: CallerProtocol): { code: Code | undefined; status: number } {
  return { code: codeOf(answer, protocol), status: answer.status };
}

function codeOf({ headers, body }: RawAnswer, protocol: CallerProtocol): Code | undefined {
  switch (protocol) {
    case "plain":
    case "connect":
      return codeFromString(JSON.parse(body.toString()).code);
    case "connect-stream": {
      const isEnd = body[0] === 2;
      return isEnd ? codeFromString(JSON.parse(body.subarray(5).toString()).error.code) : undefined;
    }
    case "grpc":
    case "grpc-web": {
      const status = Number(headers["grpc-status"]);
      return status in Code ? status : undefined;
    }
  }
}
