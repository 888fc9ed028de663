import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EnvelopeFollower, isEnveloped } from "./begun-answer.ts";

function envelope(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xff); // content that looks like a length
  bytes.writeUInt8(0, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

describe("EnvelopeFollower", () => {
  it("is between envelopes exactly where one has ended, however the bytes come", () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 250, max: 70_000 })), {
      maxLength: 8,
    });
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 8, max: 40_000 })), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(lengths, sizes, (all, cuts) => {
        const bytes = Buffer.concat(all.map(envelope));
        const ends = new Set([0]);
        let total = 0;
        for (const length of all) {
          total += 5 + length;
          ends.add(total);
        }
        const follower = new EnvelopeFollower();
        let at = 0;
        for (let turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          follower.pass(bytes.subarray(at, at + size));
          at = Math.min(bytes.length, at + size);
          if (follower.isBetween !== ends.has(at)) return false;
        }
        return follower.isBetween;
      }),
    );
  });
});

describe("isEnveloped", () => {
  it.each([
    ["application/connect+proto", true],
    ["application/grpc", true],
    ["application/grpc-web+proto", true],
    ["application/proto", false],
    ["application/json", false],
    ["", false],
  ])("%s -> %s", (contentType, enveloped) => {
    expect(isEnveloped(contentType)).toBe(enveloped);
  });
});
