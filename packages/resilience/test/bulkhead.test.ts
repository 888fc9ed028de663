import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { createBulkhead } from "@cpg/resilience";
import { describe, expect, it } from "vitest";
import { EchoService } from "./fixtures/echo-service.ts";

describe("a bulkhead in a server", () => {
  it("limits handlers at work; a client that goes away frees the slot of its stream for the next that waits", async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueue: 1 });
    const server = createServer(
      connectNodeAdapter({
        interceptors: [bulkhead.interceptor],
        routes: ({ service }) => {
          service(EchoService, {
            get: ({ value }) => ({ value }),
            async *list(_, { signal }) {
              yield { value: "first" };
              await new Promise((resolve) => signal.addEventListener("abort", resolve));
            },
          });
        },
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    const client = createClient(EchoService, createConnectTransport({ baseUrl, httpVersion: "2", sessionManager }));

    const leaving = new AbortController();
    const stream = client.list({}, { signal: leaving.signal })[Symbol.asyncIterator]();
    expect(await stream.next()).toMatchObject({ value: { value: "first" } });
    const queued = new Promise((resolve) => {
      bulkhead.onEvent(resolve);
    });
    const waits = client.get({ value: "hello" });
    await queued;
    const refused = await client.get({}).catch((reason: unknown) => ConnectError.from(reason).code);
    expect([refused, bulkhead.snapshot()]).toEqual([Code.ResourceExhausted, { key: "", running: 1, waiting: 1 }]);

    leaving.abort(new ConnectError("enough", Code.Canceled));
    expect(await waits).toMatchObject({ value: "hello" });
    expect(bulkhead.snapshots()).toEqual([]);
    sessionManager.abort();
    await new Promise((resolve) => server.close(resolve));
  });
});
