import { Code, ConnectError } from "@connectrpc/connect";
import type { RequestGate } from "@cpg/core";
import { describe, expect, it } from "vitest";
import { echoClient, serveEcho } from "./support/started-server.ts";

const refusal = new ConnectError("closed today", Code.PermissionDenied);

describe("gate", () => {
  it("refuses RPCs, health and plain HTTP before anything else sees them, and lets the rest through", async () => {
    const seen: (string | undefined)[] = [];
    await using server = await serveEcho({
      gate({ headers, url }) {
        seen.push(url);
        return headers["x-key"] === "open" ? undefined : refusal;
      },
    });
    await using client = echoClient(server.endpoint);
    await expect(client.connect()).rejects.toMatchObject({ code: Code.PermissionDenied, rawMessage: "closed today" });
    for (const path of ["/healthz", "/nothing"]) expect((await fetch(server.endpoint + path)).status).toBe(403);
    expect((await fetch(`${server.endpoint}/healthz`, { headers: { "x-key": "open" } })).status).toBe(200);
    expect(seen).toEqual([expect.stringContaining("Handshake"), "/healthz", "/nothing", "/healthz"]);
  });

  it.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("secret 42");
      },
    ],
    ["returns a promise", () => Promise.reject(new Error("secret 42"))],
  ])("refuses when it %s, reports that, and tells the caller nothing", async (_, gate) => {
    const errors: unknown[] = [];
    await using server = await serveEcho({ gate: gate as RequestGate, onError: (error) => errors.push(error) });
    const response = await fetch(`${server.endpoint}/healthz`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("42");
    expect(errors).not.toHaveLength(0);
  });
});
