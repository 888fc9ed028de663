import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const challengeBytes = 32;
const challengePattern = /^[A-Za-z0-9_-]{43}$/;

/** A fresh challenge, 256 bits. */
export function createLaunchChallenge(): string {
  return randomBytes(challengeBytes).toString("base64url");
}

/**
 * What only who knows the control token can answer to a challenge, and what tells nothing about the token: its
 * HMAC-SHA256 (RFC 2104) over the challenge, kept apart from other uses of the token by a label. Undefined for anything
 * that is no challenge.
 */
export function proveLaunch(controlToken: string, challenge: string): string | undefined {
  if (!challengePattern.test(challenge)) return undefined;
  return createHmac("sha256", controlToken).update(`cpg launch proof\0${challenge}`).digest("base64url");
}

/** Whether `proof` answers the challenge. Takes the same time for any wrong one. */
export function isLaunchProof(controlToken: string, challenge: string, proof: string): boolean {
  const expected = Buffer.from(proveLaunch(controlToken, challenge) ?? "");
  const given = Buffer.from(proof);
  return expected.length > 0 && given.length === expected.length && timingSafeEqual(given, expected);
}
