import { FakeClock } from "@cpg/resilience/testing";
import { createGrants } from "./create-grants.ts";

const grants = createGrants({
  clock: new FakeClock(),
  ttlMs: 10_000,
  maxTtlMs: 20_000,
  limits: { maxGrants: 400_000, maxGrantsPerIdentity: 400_000 },
});
const terms = { type: "kv", version: "1.0.0", holder: "a", reason: "" };
const { grant } = grants.issue(terms);
for (let i = 0; i < 200_000; i++) grants.derive(grant.id, "a", { holder: "b", reason: "" });
try {
  console.log(grants.revoke(grant.accessor, "x"));
} catch (e) {
  console.log(String(e), grants.size);
}
const g2 = createGrants({ clock: new FakeClock(), ttlMs: 10_000, maxTtlMs: 20_000 });
const i2 = g2.issue({ ...terms, ttlMs: Number.NaN });
console.log(i2.grant.expiresAtMs, g2.check(i2.grant.id, "kv", i2.token) === i2.grant);
