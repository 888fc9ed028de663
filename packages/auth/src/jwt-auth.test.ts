import { SignJWT } from "jose";
import { expect, it } from "vitest";
import { createJwtAuth } from "./jwt-auth.ts";

it("what a handler does to the claims of a token does not count for the next call", async () => {
  const secret = "a secret of more than 32 bytes, for tests";
  const token = await new SignJWT({ sub: "ann", roles: ["reader"], exp: 4_000_000_000 })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer("issuer")
    .setAudience("kv")
    .sign(Buffer.from(secret));
  const provider = createJwtAuth({ keys: { secret }, issuer: "issuer", audience: "kv" });
  const request = { header: new Headers({ authorization: `Bearer ${token}` }), peer: undefined, path: "/" };
  const first = await provider.authenticate(request);
  const roles = first.kind === "proved" ? first.auth.claims.roles : undefined;
  expect(roles).toEqual(["reader"]);
  expect(() => (roles as string[]).push("admin")).toThrow(TypeError);
  expect(await provider.authenticate(request)).toMatchObject({ auth: { claims: { roles: ["reader"] } } });
});
