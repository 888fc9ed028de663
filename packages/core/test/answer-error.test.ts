import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { openListener } from "../src/listener/listener.ts";
import { answerError } from "../src/wire/answer-error.ts";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { collect } from "./support/collect.ts";
import { type Echo, EchoSchema, EchoService } from "./support/echo-service.ts";

const detail = { desc: EchoSchema, value: { text: "a detail" } };
const refusal = () => new ConnectError("not you, größe 1", Code.PermissionDenied, { "x-rule": "7" }, [detail]);

/** A server that refuses everything. */
const start = () =>
  openListener({ address: { port: 0 }, handler: (request, response) => answerError(request, response, refusal()) });

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(await call.catch((reason: unknown) => reason));
}

describe.each(["1.1", "2"] as const)("an error answered over HTTP/%s", (httpVersion) => {
  const forms = (["connect", "grpc", "grpc-web"] as const).flatMap((protocol) => [
    { protocol, json: false },
    { protocol, json: true },
  ]);

  it.each(forms)("arrives whole in $protocol, json $json, for every kind of call", async ({ protocol, json }) => {
    await using listener = await start();
    const endpoint = parseEndpoint(listener.endpoint);
    const calls = openCallTransport({ endpoint, httpVersion, protocol, json });
    const client = createClient(EchoService, calls.transport);
    // Longer than a window: the server does not read it.
    const big = { data: new Uint8Array(1_000_000) };
    async function* requests() {
      yield big;
    }
    const failures = [
      await failure(client.unary(big)),
      await failure(client.clientStream(requests())),
      await failure(collect(client.serverStream({}))),
      await failure(collect(client.bidiStream(requests()))),
    ];
    for (const error of failures) {
      expect(error).toMatchObject({ code: Code.PermissionDenied, rawMessage: "not you, größe 1" });
      expect(error.findDetails(EchoSchema)).toMatchObject([{ text: "a detail" } satisfies Partial<Echo>]);
      expect(error.metadata.get("x-rule")).toBe("7");
    }
    await calls.close();
  });
});

it("is a status and JSON for what is no RPC", async () => {
  await using listener = await start();
  const response = await fetch(`${listener.endpoint}/index.html`);
  expect(response.status).toBe(403);
  expect(response.headers.get("x-rule")).toBe("7");
  expect(await response.json()).toMatchObject({ code: "permission_denied", message: "not you, größe 1" });
});
