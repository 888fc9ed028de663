import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLaunchChallenge, isLaunchProof, proveLaunch } from "./launch-proof.ts";

const token = "t".repeat(43);

describe("a launch proof", () => {
  it("answers its own challenge, and no other", () => {
    const [challenge, other] = [createLaunchChallenge(), createLaunchChallenge()];
    const proof = proveLaunch(token, challenge) ?? "";
    expect(isLaunchProof(token, challenge, proof)).toBe(true);
    expect(isLaunchProof(token, other, proof)).toBe(false);
    expect(isLaunchProof("u".repeat(43), challenge, proof)).toBe(false);
  });

  it("is HMAC-SHA256 over a label and the challenge, for plugins in other languages", () => {
    expect(proveLaunch(token, "c".repeat(43))).toBe("BKTblhjkCF9eZgN5i8gQCDF4YsglsB9yirGjku5Vprw");
  });

  it("is none for what is no challenge, and nothing proves that", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.string({ maxLength: 60 }), (challenge, proof) => {
        fc.pre(!/^[A-Za-z0-9_-]{43}$/.test(challenge));
        expect(proveLaunch(token, challenge)).toBeUndefined();
        expect(isLaunchProof(token, challenge, proof)).toBe(false);
      }),
    );
  });
});
