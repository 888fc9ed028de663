import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEnvelopeCheck } from "./envelope-check.ts";

function envelope(flags: number, payload: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags, 0);
  prefix.writeUInt32BE(payload.length, 1);
  return Buffer.concat([prefix, Buffer.from(payload)]);
}

function verdict(contentType: string, body: Uint8Array, cuts: readonly number[] = []): string {
  const check = createEnvelopeCheck(contentType);
  const edges = [0, ...[...cuts].sort((a, b) => a - b), body.length];
  for (const [i, from] of edges.entries()) check?.add(body.subarray(from, edges[i + 1]));
  try {
    check?.end();
    return "ends well";
  } catch (error) {
    return String(error);
  }
}

const connect = "application/connect+proto";
const grpc = "application/grpc+proto";
const insideMessage = "ConnectError: [internal] the response ended inside a message";
const noEnd = "ConnectError: [internal] the response ended without the end of its stream";

describe("createEnvelopeCheck", () => {
  it.each([
    { name: "messages and the end", type: connect, body: [envelope(0, "a"), envelope(2, "{}")], says: "ends well" },
    { name: "a compressed end", type: connect, body: [envelope(3, "zz")], says: "ends well" },
    { name: "no end", type: connect, body: [envelope(0, "a")], says: noEnd },
    { name: "nothing", type: connect, body: [], says: noEnd },
    { name: "half a prefix", type: connect, body: [envelope(2, "{}"), Buffer.from([0, 0])], says: insideMessage },
    { name: "half a message", type: connect, body: [envelope(0, "abc").subarray(0, 6)], says: insideMessage },
    { name: "an empty message", type: grpc, body: [envelope(0, "")], says: "ends well" },
    { name: "no message at all", type: grpc, body: [], says: "ends well" },
    { name: "half a message", type: grpc, body: [envelope(0, "abc").subarray(0, 6)], says: insideMessage },
    { name: "another content type", type: "application/json", body: [Buffer.from("{")], says: "ends well" },
  ])("$type: $name: $says", ({ type, body, says }) => {
    expect(verdict(type, Buffer.concat(body))).toBe(says);
  });

  it("says the same however the body is cut into chunks", () => {
    const body = fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 3), fc.string({ unit: "binary-ascii", maxLength: 300 })));
    fc.assert(
      fc.property(body, fc.array(fc.nat()), fc.nat(), (envelopes, cuts, missing) => {
        const whole = Buffer.concat(envelopes.map(([flags, payload]) => envelope(flags, payload)));
        const cut = whole.subarray(0, whole.length - (missing % (whole.length + 1)));
        const places = cuts.map((place) => place % (cut.length + 1));
        expect(verdict(connect, cut, places)).toBe(verdict(connect, cut));
      }),
    );
  });
});
