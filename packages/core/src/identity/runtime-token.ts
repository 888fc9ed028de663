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

/** What is kept of a token. */
export function hashToken(token: string): Buffer {
  return hash("sha256", token, "buffer");
}

/** Whether `token` is the one that was hashed, in constant time. */
export function matchesToken(token: string, hashed: Buffer): boolean {
  return token.length <= maxTokenLength && timingSafeEqual(hashToken(token), hashed);
}
