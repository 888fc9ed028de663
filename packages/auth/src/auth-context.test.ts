import { createContextValues } from "@connectrpc/connect";
import { verifiedIdentityKey } from "@cpg/resilience";
import { expect, it } from "vitest";
import { type AuthContext, getAuth, setAuth } from "./auth-context.ts";

it("is there for handlers once it is set, and for what keys by identity; before that nobody is", () => {
  const values = createContextValues();
  expect(getAuth({ values })).toBeUndefined();
  const auth: AuthContext = { identity: "ann", claims: { role: "admin" }, provider: "token" };
  setAuth(values, auth);
  expect(getAuth({ values })).toBe(auth);
  expect(values.get(verifiedIdentityKey)).toEqual({ id: "ann", source: "token" });
});
