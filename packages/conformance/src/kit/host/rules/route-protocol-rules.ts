import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { expectError, expectSame, expectThat } from "../../rule/expectations.ts";
import { BrokenRule } from "../../rule/finding.ts";
import type { Rule } from "../../rule/rule.ts";
import { attempt } from "../../server/format-rules.ts";
import { frame } from "../../wire/envelope.ts";
import type { HttpExchange } from "../../wire/http-exchange.ts";
import { randomName } from "../../wire/random-name.ts";
import { callServerStream, callUnary } from "../../wire/rpc-client.ts";
import { formatName, type RpcFormat } from "../../wire/rpc-format.ts";
import { credentialHeaders, pluginOf } from "../host-calls.ts";
import type { HostUnderTest } from "../host-under-test.ts";
import { callRouted, routedPath } from "../routed-call.ts";
import { provided } from "./route-rules.ts";

const needs = ["route.call"];
/** Nothing below /connectplugin. can be reached through a host, so the calls have another path. */
const path = "/kit.v1.Nobody/Call";

/** What a host of ours routes beyond unary calls over HTTP/1.1, and the form of its own errors. */
export const routeProtocolRules: readonly Rule<HostUnderTest>[] = [
  unaryError({ protocol: "connect", codec: "json", http: "1.1" }),
  unaryError({ protocol: "grpc-web", codec: "proto", http: "1.1" }),
  unaryError({ protocol: "grpc", codec: "proto", http: "2" }),
  {
    id: "route.error-connect-stream",
    section: "Where we are stricter than the Go implementation",
    expects: "the host's own error reaches a streaming call of Connect in the last frame of the stream",
    level: "ours",
    needs,
    async check(host) {
      const prefix = `/services/${randomName("kit.nobody")}/${randomName("kit")}`;
      const headers = credentialHeaders(await pluginOf(host, "caller"));
      const stream = callServerStream(host, HealthService.method.watch, {}, { prefix, path, headers });
      for await (const item of stream) {
        if (item.kind === "message") throw new BrokenRule("a message instead of an error");
        expectThat(item.answer !== undefined, "a good end instead of an error");
        expectError("stream", item.answer, "not_found");
      }
    },
  },
  {
    id: "route.grpc-trailers",
    section: "Where we are stricter than the Go implementation",
    expects: "trailers of a gRPC call over HTTP/2 are passed back",
    level: "ours",
    needs,
    async check(host) {
      const path = routedPath(await provided(host));
      const body = frame(Buffer.from("kit"));
      const headers = { "content-type": "application/grpc+proto", te: "trailers" };
      const call = { rest: "/Grpc", http: "2", body, headers } as const;
      const answer = await attempt(call, () => callRouted(host, path, call));
      expectSame("body", answer.body.toString("hex"), body.toString("hex"));
      expectSame("grpc-status", answer.trailers["grpc-status"], "0");
      expectSame("x-kit-trailer", answer.trailers["x-kit-trailer"], "yes");
    },
  },
  {
    id: "route.stream-answer",
    section: "Where we are stricter than the Go implementation",
    expects: "the bytes of an answer pass while the provider still answers",
    level: "ours",
    needs,
    async check(host) {
      await streaming(host, "1.1", async (exchange, chunks) => {
        expectSame("first chunk", await nextText(chunks), "first");
        exchange.write(Buffer.from("second"));
        exchange.end();
        expectSame("second chunk", await nextText(chunks), "second");
      });
    },
  },
  {
    id: "route.stream-both",
    section: "Where we are stricter than the Go implementation",
    expects: "a routed call over HTTP/2 streams in both directions",
    level: "ours",
    needs,
    async check(host) {
      await streaming(host, "2", async (exchange, chunks) => {
        expectSame("first chunk", await nextText(chunks), "first");
        for (const text of ["one", "two", "three"]) {
          exchange.write(Buffer.from(text));
          expectSame("echoed chunk", await nextText(chunks), text);
        }
        exchange.end();
      });
    },
  },
];

/** `protocol` names the rule; each has one way in which it is usual. */
function unaryError(format: RpcFormat): Rule<HostUnderTest> {
  return {
    id: `route.error-${format.protocol}`,
    section: "Where we are stricter than the Go implementation",
    expects: `the host's own error has the form of the caller's protocol: ${formatName(format)}`,
    level: "ours",
    needs,
    async check(host) {
      const prefix = `/services/${randomName("kit.nobody")}/${randomName("kit")}`;
      const headers = credentialHeaders(await pluginOf(host, "caller"));
      const call = () => callUnary(host, HealthService.method.check, {}, { prefix, path, headers, format });
      const answer = await attempt(format, call);
      // A bare 404 is what the rule forbids.
      if (answer.kind === "absent") throw new BrokenRule(answer.seen);
      expectError("call", answer, "not_found");
    },
  };
}

type Chunks = AsyncIterator<Buffer>;

async function streaming(
  host: HostUnderTest,
  http: RpcFormat["http"],
  look: (exchange: HttpExchange, chunks: Chunks) => Promise<void>,
): Promise<void> {
  const path = `${routedPath(await provided(host))}/Stream`;
  const headers = {
    ...credentialHeaders(await pluginOf(host, "caller")),
    "content-type": "application/octet-stream",
  };
  const exchange = host.http.open(http, { method: "POST", path, headers, body: "open" }, host.signal);
  try {
    const { status } = await attempt({ http }, () => exchange.head);
    expectSame("status", status, 200);
    await look(exchange, exchange.chunks[Symbol.asyncIterator]());
  } finally {
    exchange.cancel();
  }
}

async function nextText(chunks: Chunks): Promise<string> {
  const { value, done } = await chunks.next();
  if (done) throw new BrokenRule("the answer ended too soon");
  return Buffer.from(value).toString("utf8");
}
