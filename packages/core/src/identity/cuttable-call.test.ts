import { Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { HealthService, ServingStatus } from "../gen/connectplugin/health/v1/health_pb.ts";
import { cuttableCall } from "./cuttable-call.ts";

const denied = new ConnectError("taken back", Code.PermissionDenied);

/** A health service whose calls the test cuts, and what it heard of them. */
function serveCuttable(options: { readonly isCut: boolean }) {
  const heard: string[] = [];
  const cuts = new Set<() => void>();
  const guard: Interceptor = (next) => (req) =>
    cuttableCall(next, req, (cut) => {
      const own = () => cut(denied);
      cuts.add(own);
      if (options.isCut) own();
      return () => void cuts.delete(own);
    });
  const { promise: forever } = Promise.withResolvers<never>();
  const transport = createRouterTransport(
    ({ service }) =>
      service(HealthService, {
        async check(_, { signal }) {
          heard.push("check");
          signal.addEventListener("abort", () => heard.push("check aborted"));
          return await forever;
        },
        async *watch() {
          heard.push("watch");
          yield { status: ServingStatus.SERVING };
          await forever;
        },
      }),
    { router: { interceptors: [guard] } },
  );
  const cutAll = (): void => {
    for (const cut of cuts) cut();
  };
  return { client: createClient(HealthService, transport), heard, cuts, cutAll };
}

describe("cuttableCall", () => {
  it("ends a unary call with the error of the cut, and aborts its handler", async () => {
    const { client, heard, cuts, cutAll } = serveCuttable({ isCut: false });
    const call = client.check({}).catch((error: unknown) => error);
    await expect.poll(() => heard).toEqual(["check"]);
    cutAll();
    expect(await call).toMatchObject({ code: Code.PermissionDenied, rawMessage: "taken back" });
    await expect.poll(() => heard).toEqual(["check", "check aborted"]);
    expect(cuts.size).toBe(0);
  });

  it("ends an open stream, whose messages so far have arrived", async () => {
    const { client, cuts, cutAll } = serveCuttable({ isCut: false });
    const responses = client.watch({})[Symbol.asyncIterator]();
    expect(await responses.next()).toMatchObject({ value: { status: ServingStatus.SERVING } });
    cutAll();
    await expect(responses.next()).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect(cuts.size).toBe(0);
  });

  it.each(["check", "watch"] as const)("runs nothing of a %s that is cut from the start", async (method) => {
    const { client, heard, cuts } = serveCuttable({ isCut: true });
    const answer = method === "check" ? client.check({}) : client.watch({})[Symbol.asyncIterator]().next();
    await expect(answer).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect(heard).toEqual([]);
    expect(cuts.size).toBe(0);
  });
});
