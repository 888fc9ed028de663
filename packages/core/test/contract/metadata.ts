import { decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import { expect } from "vitest";
import { forKinds } from "./kinds.ts";
import type { ContractCase, Kind, Subject } from "./subject.ts";

/** What a caller sees of the headers and trailers of one call. */
async function headersOf({ contract }: Subject, kind: Kind, facts: Record<string, string>, text = "") {
  const seen: { header?: Headers; trailer?: Headers; calls: string[] } = { calls: [] };
  await kind.call(
    contract,
    { text, facts, count: 1 },
    {
      onHeader(header) {
        seen.calls.push("header");
        seen.header = header;
      },
      onTrailer(trailer) {
        seen.calls.push("trailer");
        seen.trailer = trailer;
      },
    },
  );
  return seen;
}

export const metadataCases: readonly ContractCase[] = [
  ...forKinds("request headers reach the handler: text, binary, several values", async ({ contract }, kind) => {
    const bytes = Uint8Array.of(0, 255, 10, 13);
    const headers = new Headers({ "x-text": "plain text, with = and ;", "x-data-bin": encodeBinaryHeader(bytes) });
    headers.append("x-twice", "1");
    headers.append("x-twice", "2");
    const [answer] = await kind.call(contract, { act: "facts" }, { headers });
    expect(answer?.facts).toMatchObject({ "header:x-text": "plain text, with = and ;", "header:x-twice": "1, 2" });
    expect([...decodeBinaryHeader(answer?.facts["header:x-data-bin"] ?? "")]).toEqual([...bytes]);
  }),
  ...forKinds("headers and trailers of the answer reach the caller, once, in this order", async (subject, kind) => {
    const { calls, header, trailer } = await headersOf(subject, kind, {
      "header:x-head": "a",
      "header:x-many": "1|2",
      "trailer:x-tail": "z",
      "trailer:x-tails": "3|4",
    });
    expect(calls).toEqual(["header", "trailer"]);
    expect([header?.get("x-head"), header?.get("x-many")]).toEqual(["a", "1, 2"]);
    expect([trailer?.get("x-tail"), trailer?.get("x-tails")]).toEqual(["z", "3, 4"]);
    expect([header?.get("x-tail"), trailer?.get("x-head")]).toEqual([null, null]);
  }),
  ...forKinds("binary headers of the answer reach the caller", async (subject, kind) => {
    const value = encodeBinaryHeader(Uint8Array.of(1, 2, 254));
    const { header, trailer } = await headersOf(subject, kind, { "header:x-a-bin": value, "trailer:x-b-bin": value });
    for (const found of [header?.get("x-a-bin"), trailer?.get("x-b-bin")]) {
      expect([...decodeBinaryHeader(found ?? "")]).toEqual([1, 2, 254]);
    }
  }),
  ...forKinds("headers that are the protocol's own cannot be overridden", async ({ contract }, kind) => {
    const headers = { "content-type": "text/plain", "connect-timeout-ms": "1", "grpc-timeout": "1m" };
    const [answer] = await kind.call(contract, { act: "facts", text: "x" }, { headers, timeoutMs: 30_000 });
    expect(answer?.facts["header:content-type"]).toMatch(/^application\//);
    expect(Number(answer?.facts.timeoutMs)).toBeGreaterThan(20_000);
  }),
  ...forKinds("the headers that a caller passed in are not changed", async ({ contract }, kind) => {
    const headers = new Headers({ "x-mine": "1" });
    await kind.call(contract, { text: "a" }, { headers, timeoutMs: 30_000 });
    expect([...headers]).toEqual([["x-mine", "1"]]);
  }),
  ...forKinds("a header of one call does not reach the next", async ({ contract }, kind) => {
    const [first] = await kind.call(contract, { act: "facts" }, { headers: { "x-once": "1" } });
    const [second] = await kind.call(contract, { act: "facts" });
    expect([first?.facts["header:x-once"], second?.facts["header:x-once"]]).toEqual(["1", undefined]);
  }),
  ...forKinds("a handler knows its method, the protocol and its peer's network", async ({ contract, traits }, kind) => {
    const [answer] = await kind.call(contract, { act: "facts" });
    const names = { unary: "Unary", "server stream": "ServerStream", "client stream": "ClientStream" };
    expect(answer?.facts).toMatchObject({
      method: { ...names, "bidi stream": "BidiStream" }[kind.kind],
      service: "cpg.contract.v1.ContractService",
      protocol: traits.protocol,
      verb: "POST",
      network: traits.network,
      aborted: "false",
    });
  }),
];
