import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { heardIdentity } from "./heard-identity.ts";

type Request = Parameters<ReturnType<Interceptor>>[0];

describe("heardIdentity", () => {
  const refusal = new ConnectError("no live identity", Code.Unauthenticated);
  const failure = new ConnectError("of the handler", Code.NotFound);
  it.each([
    { of: "an identity that ended while the message was on its way", isIn: false, thrown: refusal, heard: [refusal] },
    { of: "an error of the handler, which the handler tells of", isIn: true, thrown: failure, heard: [] },
  ])("hears or not of $of", async ({ isIn, thrown, heard }) => {
    const told: ConnectError[] = [];
    const requireIdentity: Interceptor = (next) => async (req) => {
      if (!isIn) throw refusal;
      return await next(req);
    };
    const { interceptors } = heardIdentity({ requireIdentity, identityGate: () => {} }, (error) => told.push(error));
    const call = interceptors[0]?.(() => Promise.reject(failure));
    await expect(call?.({} as Request)).rejects.toBe(thrown);
    expect(told).toEqual(heard);
  });
});
