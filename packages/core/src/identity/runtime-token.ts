import { hash, randomBytes, timingSafeEqual } from "node:crypto";

const tokenBytes = 32;
const suffixBytes = 12;
/** No token of ours is longer than 43 characters; a longer one is not worth hashing. */
const maxTokenLength = 128;

/** A new secret: 256 random bits as base64url. */
export function createToken(): string {
  return randomBytes(tokenBytes).toString("base64url");
}

/** A new runtime id. 96 random bits: two never collide in practice. */
export function createRuntimeId(selfId: string): string {
  return `${selfId.toLowerCase()}-${randomBytes(suffixBytes).toString("hex")}`;
}

/** What is kept of a token: its SHA-256, in hexadecimal digits. */
export function hashToken(token: string): Buffer {
  return Buffer.from(hash("sha256", token, "hex"), "latin1");
}

/** One buffer for every comparison: Node makes a hash as text three times as fast as one in a buffer of its own. */
const presented = Buffer.alloc(64);

/** Whether `token` is the one that was hashed, in constant time. */
export function matchesToken(token: string, hashed: Buffer): boolean {
  if (token.length > maxTokenLength) return false;
  presented.write(hash("sha256", token, "hex"), "latin1");
  return timingSafeEqual(presented, hashed);
}
